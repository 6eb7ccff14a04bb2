"""Querysets of accounts. `visible_to` has the rows that a caller may see; every query begins with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db.models import Q, QuerySet
from django.utils import timezone

if TYPE_CHECKING:
    from accounts.models import Address, AuthToken, Order, OrderLine
    from config.api.access.permissions import Caller


class AuthTokenQuerySet(QuerySet["AuthToken"]):
    def visible_to(self, caller: Caller) -> Self:
        """The caller's own tokens, also for staff."""
        return self.filter(user_id=caller.pk)

    def valid(self) -> Self:
        return self.filter(Q(expiry=None) | Q(expiry__gt=timezone.now()))


class AddressQuerySet(QuerySet["Address"]):
    def visible_to(self, caller: Caller) -> Self:
        """The caller's own addresses. Staff see a user's addresses with the user."""
        return self.filter(user_id=caller.pk)


class OrderQuerySet(QuerySet["Order"]):
    def visible_to(self, caller: Caller) -> Self:
        """All orders for a caller with the permission `accounts.view_order`, else the caller's own."""
        return self.all() if caller.has_perm("accounts.view_order") else self.of_user(caller)

    def of_user(self, user: Caller) -> Self:
        return self.filter(user_id=user.pk)


class OrderLineQuerySet(QuerySet["OrderLine"]):
    def visible_to(self, caller: Caller) -> Self:
        """The lines of the orders that the caller may see."""
        return self.all() if caller.has_perm("accounts.view_order") else self.filter(order__user_id=caller.pk)
