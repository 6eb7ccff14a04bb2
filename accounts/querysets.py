"""Querysets of accounts. `visible_to` has the rows that a caller may see; every query begins with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL
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

    def with_reference(self, reference: str) -> Self:
        # The literal is the condition of the partial index.
        return self.filter(reference=reference, reference__gt=RawSQL("''", ()))

    def naming(self, text: str) -> Self:
        """Orders whose number or reference is `text`, or which have a line of this SKU. An index serves each part."""
        orders: Any = self.model._default_manager.using(self.db)
        lines: Any = self.model._meta.get_field("lines").related_model._default_manager.using(self.db)
        # Not joined by OR: then PostgreSQL would read all orders.
        parts = (
            orders.filter(number=text.upper()).values("pk"),
            orders.with_reference(text).values("pk"),
            lines.filter(sku=text).order_by().values("order"),
        )
        return self.filter(pk__in=parts[0].union(*parts[1:], all=True))


class OrderLineQuerySet(QuerySet["OrderLine"]):
    def visible_to(self, caller: Caller) -> Self:
        """The lines of the orders that the caller may see."""
        return self.all() if caller.has_perm("accounts.view_order") else self.filter(order__user_id=caller.pk)
