"""Filters of several pages: rows of one user, of one order, or by their end."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import TextFilter

from accounts.models import AuthToken, Order, User
from config.api.admin.filters import SuggestFilter


class OfUserFilter(SuggestFilter):
    """Rows of one user, by the e-mail address. A subselect of one id, so that the index on the user is used."""

    title = "user"
    parameter_name = "of_user"
    source = (Order, "user")
    by = "email"

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(user__in=User.objects.filter(email__lower=value.lower()).values("pk"))


class OfOrderFilter(TextFilter):
    title = "order's number"
    parameter_name = "of_order"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(order__in=Order.objects.filter(number=self.value()).values("pk"))


class ExpiryFilter(admin.SimpleListFilter):
    title = "expired"
    parameter_name = "expired"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return (("yes", "Yes"), ("no", "No"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuthToken]) -> QuerySet[AuthToken]:
        match self.value():
            case "yes":
                return queryset.filter(expiry__lt=timezone.now())
            case "no":
                return queryset.exclude(expiry__lt=timezone.now())
        return queryset
