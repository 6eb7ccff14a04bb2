"""Places an order and changes its status: rows, totals and stock in one transaction, all or nothing.

Products are locked first, in the order of their ids, then their stock, as in every write of several rows. So two orders
for the same products never deadlock.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from django.db import transaction
from django.utils.crypto import get_random_string

from accounts.addresses import copy_addresses
from accounts.errors import OutOfStock, ReferenceUsed, WrongStep
from accounts.models import Order, OrderLine, User
from catalog.models import Product, Stock, Variant
from catalog.writes.texts import index_composed, list_forms
from config.api.database.advisory_locks import wait_for
from config.api.problems.errors import Conflict, Fault, InvalidBody

GREATEST_QUANTITY = 1_000_000
# Order.total has twelve digits before the decimal point.
GREATEST_TOTAL = Decimal(10) ** 12

# The statuses that may follow each status.
STEPS: Mapping[str, Sequence[str]] = {
    Order.Status.PLACED: (Order.Status.PAID, Order.Status.CANCELED),
    Order.Status.PAID: (Order.Status.SHIPPED, Order.Status.CANCELED),
    Order.Status.SHIPPED: (Order.Status.COMPLETED,),
    Order.Status.COMPLETED: (),
    Order.Status.CANCELED: (),
}
# An order with one of these statuses has its pieces reserved.
RESERVING = (Order.Status.PLACED, Order.Status.PAID)

# Without letters and digits that look alike. Twelve of these characters have 59 bits, so nobody can guess a number.
NUMBER_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

type Wanted = Sequence[Mapping[str, Any]]
# Pieces by line.
type Pieces = Mapping[OrderLine, int]

# -- placing ------------------------------------------------------------------------------------------------------


def place_order(user: User, wanted: Wanted, **details: Any) -> Order:
    """Place an order for `[{"sku", "quantity"}, …]`. Raises OutOfStock, or InvalidBody for lines with other errors.

    `details` are `note`, `reference`, and addresses as `copy_addresses` takes them. If the user has an order with the
    same reference, it is returned, and nothing is placed; ReferenceUsed if it was placed by other values.
    """
    refuse_repeated(wanted)
    with transaction.atomic():
        if details.get("reference"):
            details["request_hash"] = hash_request(wanted, details)
            # Before the look: the order of a request that held the lock is committed by now.
            wait_for(f"order:{user.pk}:{details['reference']}")
            if order := find_placed(user, details["reference"], details["request_hash"]):
                return order
        variants = lock_variants([line["sku"] for line in wanted])
        refuse_unknown(wanted, variants)
        currency = find_currency(wanted, variants)
        order = Order(number=make_number(), user=user, currency=currency, **copy_addresses(user, details))
        lines = [build_line(order, variants[line["sku"]], line["quantity"]) for line in wanted]
        order.subtotal = order.total = add_up(lines)
        reserve_stock(lines)
        order.save(force_insert=True)
        OrderLine.objects.bulk_create(lines)
    return order


def hash_request(wanted: Wanted, details: Mapping[str, Any]) -> str:
    text = orjson.dumps({"lines": [dict(line) for line in wanted], **details}, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()


def find_placed(user: User, reference: str, request_hash: str) -> Order | None:
    """The user's order with this reference. Raises ReferenceUsed if it was placed by another body."""
    order = Order.objects.of_user(user).with_reference(reference).first()
    if order is not None and order.request_hash != request_hash:
        raise ReferenceUsed(reference, order.number)
    if order is not None:
        order.is_repeated = True
    return order


def make_number() -> str:
    return get_random_string(12, NUMBER_LETTERS)


def lock_variants(skus: Sequence[str]) -> dict[str, Variant]:
    """The variants on sale, by SKU. One query, which also locks their products."""
    rows = Variant.objects.on_sale().filter(sku__in=list_forms(skus)).select_related("product")
    rows = rows.only("sku", "price", "product__title", "product__currency")
    locked = rows.select_for_update(of=("product",), no_key=True).order_by("product_id", "pk")
    return index_composed(locked, lambda variant: variant.sku)


def refuse_repeated(wanted: Wanted) -> None:
    skus = [line["sku"] for line in wanted]
    refuse_lines(
        (index, "repeated", "This SKU already has a line; add up the quantities.")
        for index, sku in enumerate(skus)
        if sku in skus[:index]
    )


def refuse_unknown(wanted: Wanted, variants: Mapping[str, Variant]) -> None:
    refuse_lines(
        (index, "not_found", f"Nothing on sale has the SKU {line['sku']}.")
        for index, line in enumerate(wanted)
        if line["sku"] not in variants
    )


def find_currency(wanted: Wanted, variants: Mapping[str, Variant]) -> str:
    """The currency of all lines. Raises InvalidBody if they differ, since a total has one currency."""
    currencies = [variants[line["sku"]].product.currency for line in wanted]
    refuse_lines(
        (index, "other_currency", f"Its price is in {currency}, but the first line's is in {currencies[0]}.")
        for index, currency in enumerate(currencies)
        if currency != currencies[0]
    )
    return currencies[0]


def refuse_lines(wrong: Iterator[tuple[int, str, str]]) -> None:
    """Raise InvalidBody if there are wrong lines. Each is `(index, code, sentence)`."""
    if faults := [Fault(f"/lines/{index}/sku", code, detail) for index, code, detail in wrong]:
        raise InvalidBody(faults)


def build_line(order: Order, variant: Variant, quantity: int) -> OrderLine:
    product = variant.product
    columns = {"sku": variant.sku, "title": product.title, "price": variant.price, "quantity": quantity}
    return OrderLine(order=order, product=product, variant=variant, **columns)


def add_up(lines: Sequence[OrderLine]) -> Decimal:
    total = sum((line.price * line.quantity for line in lines), Decimal(0))
    if total >= GREATEST_TOTAL:
        raise InvalidBody([Fault("/lines", "max_value", f"The total is {GREATEST_TOTAL:,} or more.")])
    return total


def reserve_stock(lines: Sequence[OrderLine]) -> None:
    # A line that isn't stored yet is no key of a dictionary.
    units = {line.variant_id: line.quantity for line in lines if line.variant_id is not None}
    reserved = Stock.objects.all().reserve(units)
    short = [(index, line) for index, line in enumerate(lines) if line.variant_id not in reserved]
    if short:
        faults = [
            Fault(f"/lines/{index}/quantity", "out_of_stock", f"Fewer than {line.quantity} of {line.sku} are free.")
            for index, line in short
        ]
        raise OutOfStock(faults, [line.sku for _, line in short])


def count_units(pieces: Pieces) -> dict[int, int]:
    """The pieces by variant id, without lines whose variant was deleted: they have no stock."""
    return {line.variant_id: count for line, count in pieces.items() if line.variant_id is not None}


def find_left(lines: Sequence[OrderLine]) -> Pieces:
    """The pieces that aren't shipped yet."""
    return {line: left for line in lines if (left := line.quantity - line.shipped)}


# -- moving on ----------------------------------------------------------------------------------------------------


def move_order(order: Order, status: str) -> Order:
    """Change the order's status. Raises WrongStep if `status` can't follow the present one.

    Canceling frees the reserved pieces; shipping removes them from the stock. Both spare pieces that were sent before.
    """
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order.pk)
        if status not in STEPS[order.status]:
            raise WrongStep(order.status, status, STEPS[order.status])
        # Before the status: what a server of the former release leaves undone, a trigger does then (migration 0017).
        if move_stock := MOVES.get(status):
            move_stock(find_left(lock_lines(order)))
        order.status = status
        order.save(update_fields=["status"])
    return order


def lock_lines(order: Order) -> list[OrderLine]:
    lines = list(order.lines.all())
    products = Product.objects.filter(pk__in=[line.product_id for line in lines]).order_by("pk")
    list(products.select_for_update(no_key=True).values_list("pk"))
    return lines


def release_stock(pieces: Pieces) -> None:
    Stock.objects.all().release(count_units(pieces))


def ship_stock(pieces: Pieces) -> None:
    """Remove the pieces from the stock, and note on their lines where they were.

    Raises Conflict if too few are reserved.
    """
    units = count_units(pieces)
    taken = Stock.objects.all().ship(units)
    short = [line.sku for line in pieces if line.variant_id in units.keys() - taken.keys()]
    if short:
        raise Conflict(f"Fewer pieces are reserved than ordered: {', '.join(short)}.", "Correct their stock first.")
    for line, count in pieces.items():
        line.shipped += count
        line.sent_from = dict(Counter(line.sent_from) + Counter(taken.get(line.variant_id or 0)))
    OrderLine.objects.bulk_update(pieces, ["shipped", "sent_from"])


MOVES: Mapping[str, Callable[[Pieces], None]] = {
    Order.Status.CANCELED: release_stock,
    Order.Status.SHIPPED: ship_stock,
}
