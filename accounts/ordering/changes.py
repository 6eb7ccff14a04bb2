"""Changes an order while it is placed: its addresses, its note, and its status."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from rest_framework.exceptions import PermissionDenied

from accounts.addresses import copy_addresses
from accounts.errors import NotPlaced
from accounts.models import Order
from accounts.orders import move_order
from config.api.access.permissions import Caller, write_refusal

CHANGE = "accounts.change_order"


def change_order(order: Order, values: Mapping[str, Any], caller: Caller) -> Order:
    """Write addresses and note, then take the step to `status`. Raises NotPlaced, WrongStep, or PermissionDenied.

    Callers without the permission CHANGE change and cancel it while it is placed, and nothing else. The view has
    checked that it is their own.
    """
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order.pk)
        values = find_changed(order, values)
        status = values.pop("status", None)
        may_change = caller.has_perm(CHANGE)
        if not may_change and status not in (None, Order.Status.CANCELED):
            raise PermissionDenied(write_refusal(CHANGE))
        if order.status != Order.Status.PLACED and (values or (status and not may_change)):
            raise NotPlaced(order.status)
        write_details(order, values)
        return move_order(order, status) if status else order


def find_changed(order: Order, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that differ from the order's: clients send back what they have read. Addresses are copies."""
    copied = copy_addresses(order.user, values)
    return {name: value for name, value in copied.items() if value != getattr(order, name)}


def write_details(order: Order, values: Mapping[str, Any]) -> None:
    if not values:
        return
    for name, value in values.items():
        setattr(order, name, value)
    order.save(update_fields=[*values])
