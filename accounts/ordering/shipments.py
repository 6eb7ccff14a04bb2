"""Sends pieces of an order, and takes pieces back: a few of a line, or all that is left.

The order is locked first, so two people at once can't send the same piece: the second one finds it sent. Then come the
products, in the order of their ids, and their stock, as when an order is placed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from django.db import transaction

from accounts.errors import TooManyPieces, WrongStep
from accounts.models import Order, OrderLine
from accounts.orders import STEPS, Pieces, Wanted, lock_lines, move_order, ship_stock
from catalog.locations import list_undeclared, say_undeclared
from catalog.models import Stock
from config.api.problems.errors import Fault, InvalidBody

# How many pieces of a line are left for a step.
type Left = Callable[[OrderLine], int]


def ship_pieces(order: Order, wanted: Wanted) -> Order:
    """Send these pieces `[{"sku", "quantity"}, …]` of a paid order; all that are left without `wanted`.

    Shipping removes them from the stock. The order is `shipped` once all its pieces are.
    """
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order.pk)
        if order.status != Order.Status.PAID:
            raise WrongStep(order.status, Order.Status.SHIPPED, STEPS[order.status])
        lines = lock_lines(order)
        pieces = pick(lines, wanted, lambda line: line.quantity - line.shipped, "left to be shipped")
        if all(line.quantity - line.shipped == pieces.get(line, 0) for line in lines):
            return move_order(order, Order.Status.SHIPPED)
        ship_stock(pieces)
    return order


def take_back(order: Order, wanted: Wanted, restock: bool, location: str | None = None) -> Order:
    """Note that these pieces came back; all that were shipped without `wanted`. The status stays.

    With `restock` they are on hand again: at `location`, or where they were sent from. A line of `wanted` may have a
    `reason`, which stays with the order's line. Raises InvalidBody if nobody has declared `location`.
    """
    if location and list_undeclared([location]):
        raise InvalidBody([Fault("/location", "not_found", say_undeclared(location))])
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order.pk)
        lines = lock_lines(order)
        pieces = pick(lines, wanted, lambda line: line.shipped - line.returned, "with the customer")
        reasons = {each["sku"]: each.get("reason", "") for each in wanted}
        for line in pieces:
            line.return_reason = reasons.get(line.sku, "")
        places = {line: take_from(line, count) for line, count in pieces.items()}
        if restock:
            restock_pieces(places, location)
        OrderLine.objects.bulk_update(pieces, ["returned", "return_reason", "sent_from"])
    return order


def pick(lines: Sequence[OrderLine], wanted: Wanted, left: Left, where: str) -> Pieces:
    """The pieces by line. Raises InvalidBody for a SKU without a line, TooManyPieces if fewer are left."""
    if not wanted:
        pieces = {line: left(line) for line in lines if left(line)}
        if not pieces:
            raise TooManyPieces([Fault("/lines", "too_many_pieces", f"No piece is {where}.")])
        return pieces
    by_sku = {line.sku: line for line in lines}
    if unknown := list(find_unknown(wanted, by_sku)):
        raise InvalidBody(unknown)
    if over := list(find_over(wanted, by_sku, left, where)):
        raise TooManyPieces(over)
    return {by_sku[each["sku"]]: each["quantity"] for each in wanted}


def find_unknown(wanted: Wanted, by_sku: Mapping[str, OrderLine]) -> Iterator[Fault]:
    skus = [each["sku"] for each in wanted]
    for index, sku in enumerate(skus):
        if sku not in by_sku:
            yield Fault(f"/lines/{index}/sku", "not_found", f"The order has no line of {sku}.")
        elif sku in skus[:index]:
            yield Fault(f"/lines/{index}/sku", "repeated", "This SKU already has a line; add up the quantities.")


def find_over(wanted: Wanted, by_sku: Mapping[str, OrderLine], left: Left, where: str) -> Iterator[Fault]:
    for index, each in enumerate(wanted):
        if each["quantity"] > (most := left(by_sku[each["sku"]])):
            detail = f"{most} of {each['sku']} are {where}, fewer than {each['quantity']}."
            yield Fault(f"/lines/{index}/quantity", "too_many_pieces", detail)


def take_from(line: OrderLine, count: int) -> Counter[str]:
    """Take the pieces off those that are with the customer. Returns where they were sent from; "" if nobody knows."""
    places = Counter[str]()
    for place, sent in sorted(line.sent_from.items()):
        places[place] = min(sent, count - places.total())
    line.sent_from = dict(Counter(line.sent_from) - places)
    line.returned += count
    return +places + Counter({"": count - places.total()})


def restock_pieces(places: Mapping[OrderLine, Counter[str]], location: str | None) -> None:
    units = find_places({line.variant_id: where for line, where in places.items() if line.variant_id}, location)
    back = Stock.objects.all().take_back(units)
    # Somebody deleted the row meanwhile. Who writes stock locks the products first, as here.
    Stock.objects.bulk_create(
        Stock(variant_id=variant, location=place, on_hand=count, reason="returned")
        for (variant, place), count in units.items()
        if (variant, place) not in back
    )


def find_places(came: Mapping[int, Counter[str]], location: str | None) -> Counter[tuple[int, str]]:
    """The pieces by variant and location. Of unknown ones, and of one that is gone, they go to the first location."""
    gone = {"", *list_undeclared(place for where in came.values() for place in where)}
    first = Stock.objects.all().find_first([key for key, where in came.items() if gone & where.keys()])
    units = Counter[tuple[int, str]]()
    for key, where in came.items():
        for place, count in where.items():
            units[key, location or (first[key] if place in gone else place)] += count
    return units
