"""What the page of an order shows: the next step as buttons, the customer, addresses, and a timeline from the log."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from accounts.models import Order
from accounts.orders import STEPS
from accounts.staff.pieces import list_ways
from catalog.changes.log import number_changes
from catalog.changes.models import Change
from catalog.changes.sentences import tell_changes

# The changes of an order and its lines that a page tells, the newest first, and the lines whose changes are looked for.
TOLD_CHANGES = 50
TOLD_LINES = 200

# What a button says; the last ones of STEPS are the less usual ones.
STEP_LABELS = {
    Order.Status.PAID: "Mark as paid",
    Order.Status.SHIPPED: "Mark as shipped",
    Order.Status.COMPLETED: "Mark as completed",
    Order.Status.CANCELED: "Cancel the order",
}


def show_steps(order: Order, action: str) -> SafeString:
    """The buttons of the page's own form that move the order on, and the ways to pages that move some of its pieces."""
    steps = [(status, STEP_LABELS[Order.Status(status)]) for status in STEPS[order.status]]
    ways = [(reverse(f"admin:accounts_order_{way}", args=(order.pk,)), title) for way, title in list_ways(order)]
    slip = reverse("admin:accounts_order_slip", args=(order.pk,)) if order.status == Order.Status.PAID else ""
    context = {"part": "steps", "steps": steps, "action": action, "ways": ways, "slip": slip}
    return render_to_string("admin/order_parts.html", context)


def show_customer(order: Order) -> SafeString:
    return render_to_string("admin/order_parts.html", {"part": "customer", "user": order.user})


def show_address(address: dict[str, Any] | None, correction: str = "") -> SafeString:
    """An address as on a parcel, a dash for none; and the way to the page that corrects it."""
    values = address or {}
    town = " ".join(filter(None, (values.get("postcode"), values.get("city"))))
    lines = [values.get("name"), values.get("line1"), values.get("line2"), town, values.get("country")]
    context = {"part": "address", "lines": list(filter(None, lines)), "correction": correction}
    return render_to_string("admin/order_parts.html", context)


def show_timeline(order: Order) -> SafeString:
    events = list(list_events(order))
    return render_to_string("admin/order_parts.html", {"part": "timeline", "order": order, "events": events})


def list_events(order: Order) -> Iterator[tuple[Any, str, str]]:
    """`(when, who, what)` of the order's changes and its lines' later ones."""
    number_changes()
    lines = list(order.lines.values_list("pk", flat=True)[:TOLD_LINES])
    of_order = Q(entity="order", entity_id=order.pk)
    of_lines = Q(entity="order_line", entity_id__in=lines, op=Change.Op.UPDATE)
    changes = list(Change.objects.filter(of_order | of_lines, product_id=None).order_by("-position")[:TOLD_CHANGES])
    told = tell_changes(changes)
    for change in changes:
        if told[change.pk].says_something:
            yield change.at, told[change.pk].who, told[change.pk].sentence
