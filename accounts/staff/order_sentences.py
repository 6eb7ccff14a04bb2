"""A change of an order or of its line in, the sentence of a shop-keeper out; "" for changes that are told as others."""

from collections.abc import Mapping
from typing import Any

from accounts.models import Order
from catalog.changes.models import Change
from catalog.changes.sentences import list_told

# What a step is called once it is taken.
TAKEN: Mapping[str, str] = {
    Order.Status.PAID: "Marked order {} as paid.",
    Order.Status.SHIPPED: "Marked order {} as shipped.",
    Order.Status.COMPLETED: "Completed order {}.",
    Order.Status.CANCELED: "Canceled order {}.",
}
# How many pieces went which way, by the column that counts them.
MOVED: Mapping[str, str] = {"shipped": "Sent {:,} of {}.", "returned": "Took back {:,} of {}."}


def tell_order(change: Mapping[str, Any], number: str) -> str:
    before, after = change["before"] or {}, change["after"] or {}
    if change["op"] == Change.Op.CREATE and after:
        return f"Placed order {number}: {after['total']} {after['currency']}."
    status = after.get("status", "") if find_changed(before) == {"status"} else ""
    return TAKEN.get(status, "").format(number)


def tell_line(change: Mapping[str, Any], sku: str) -> str:
    before, after = change["before"] or {}, change["after"] or {}
    if change["op"] == Change.Op.CREATE and after:
        return f"Ordered {after['quantity']:,} of {sku}."
    for column, sentence in MOVED.items():
        if find_changed(before) == {column} and (pieces := after[column] - before[column]) > 0:
            reason = after.get("return_reason") if column == "returned" else ""
            return sentence.format(pieces, sku) + (f" Reason: {reason}" if reason else "")
    return ""


def find_changed(before: Mapping[str, Any]) -> set[str]:
    """The columns of an update that say something to people. The change has those alone that differ."""
    return {*list_told(before)} - {"sent_from", "return_reason"}
