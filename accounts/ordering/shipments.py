"""Sends pieces of an order, and takes pieces back: a few of a line, or all that is left.

The order is locked first, so two people at once can't send the same piece: the second one finds it sent. Then come the
products, in the order of their ids, and their stock, as when an order is placed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from django.db import transaction

from accounts.errors import TooManyPieces, WrongStep
from accounts.models import Order, OrderLine
from accounts.orders import STEPS, Wanted, lock_lines, move_order, ship_stock
from catalog.models import Stock
from config.api.problems.errors import Fault, InvalidBody

# How many pieces of a line are left for a step.
type Left = Callable[[OrderLine], int]
# Pieces by line.
type Pieces = Mapping[OrderLine, int]


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
        ship_stock(lines, count_pieces(pieces))
        write_pieces(pieces, "shipped")
    return order


def take_back(order: Order, wanted: Wanted, restock: bool) -> Order:
    """Note that these pieces came back; all that were shipped without `wanted`. The status stays.

    With `restock` they are on hand again.
    """
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order.pk)
        lines = lock_lines(order)
        pieces = pick(lines, wanted, lambda line: line.shipped - line.returned, "with the customer")
        if restock:
            restock_pieces(pieces)
        write_pieces(pieces, "returned")
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


def count_pieces(pieces: Pieces) -> dict[int, int]:
    """The pieces by variant id, without those whose variant was deleted: they have no stock."""
    return {line.variant_id: count for line, count in pieces.items() if line.variant_id is not None}


def restock_pieces(pieces: Pieces) -> None:
    units = count_pieces(pieces)
    back = Stock.objects.all().take_back(units)
    # Somebody deleted the row meanwhile. Who writes stock locks the products first, as here.
    Stock.objects.bulk_create(
        Stock(variant_id=variant, on_hand=count, reason="returned")
        for variant, count in units.items()
        if variant not in back
    )


def write_pieces(pieces: Pieces, column: str) -> None:
    for line, count in pieces.items():
        setattr(line, column, getattr(line, column) + count)
    OrderLine.objects.bulk_update(pieces, [column])
