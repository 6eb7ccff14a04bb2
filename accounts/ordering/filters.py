"""The filters of orders, for lists and exports."""

from typing import Any

from django_filters import CharFilter

from accounts.models import Order, User
from accounts.querysets import OrderQuerySet
from catalog.writes.texts import compose
from config.api.reads.filtering import ChoicesFilter, MomentFilter, SparseFilterSet, TextsFilter
from config.api.reads.unserved import IndexServed

# The most numbers of a request.
MOST_NUMBERS = 200


class OrderFilters(SparseFilterSet):
    """Times include their moment, but for `placed_before`. Rows match that have one value of each list."""

    status = ChoicesFilter(choices=Order.Status.choices, label="Statuses")
    placed_after = MomentFilter(field_name="placed_at", lookup_expr="gte", label="Placed at or after this time")
    placed_before = MomentFilter(field_name="placed_at", lookup_expr="lt", label="Placed before this time")
    updated_since = MomentFilter(field_name="updated_at", lookup_expr="gte", label="Changed at or after this time")
    number = TextsFilter(method="keep_numbers", most=MOST_NUMBERS, label="Whole numbers, at most 200")
    search = CharFilter(method="keep_naming", label="A whole number or reference, or the SKU of a line")

    def keep_numbers(self, rows: OrderQuerySet, name: str, numbers: list[str]) -> OrderQuerySet:
        return rows.filter(number__in=[number.upper() for number in numbers])

    def keep_naming(self, rows: OrderQuerySet, name: str, text: str) -> OrderQuerySet:
        return rows.naming(compose(text))


class StaffOrderFilters(OrderFilters):
    """Also the customer's e-mail address. The view asks for the permission to view users."""

    email = CharFilter(method="keep_email", label="The customer's whole e-mail address, in any case")

    def keep_email(self, rows: OrderQuerySet, name: str, address: str) -> Any:
        return rows.filter(user__in=User.objects.filter(email__lower=address.lower()).values("pk"))


# What an index gives in the asked order (the indexes of Order).
SERVED: IndexServed = frozenset(
    {
        (None, "placed_at"),
        ("status", "placed_at"),
        ("placed_after", "placed_at"),
        ("placed_before", "placed_at"),
        (None, "updated_at"),
        ("status", "updated_at"),
        ("updated_since", "updated_at"),
    }
)
