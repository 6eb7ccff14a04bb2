"""What can be exported: five tables, each with its rows for a caller, their shape, filters and the right to them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from accounts.models import Order
from accounts.serializers import OrderRead
from catalog.changes.log import number_changes
from catalog.feed import Bounds, hide_products
from catalog.filters import ProductFilters
from catalog.models import Change, Product, Stock, Variant
from catalog.querysets import Caller
from catalog.rights import EXPORT
from catalog.serializers import ProductRead, VariantRead
from config.api.filtering import SparseFilterSet
from config.api.selections import ReadSerializer
from exports.filters import ChangeFilters
from exports.serializers import ActiveChangeRow, ChangeRow, StockRow


@dataclass(frozen=True)
class Resource:
    """A table that leaves whole. `right` is the permission to export it, without which nothing of it is said."""

    name: str
    right: str
    # Which rows a caller sees, and in which shape.
    list_rows: Callable[[Caller], QuerySet[Any]]
    shape: ReadSerializer
    # The shape for a caller who sees active products only, where it is another.
    public_shape: ReadSerializer | None = None
    filters: type[SparseFilterSet] = SparseFilterSet
    # Families of filters, like `attr.`.
    open_parameters: tuple[str, ...] = ()
    # Whether the change feed tells of its rows.
    is_followed: bool = True

    def choose_shape(self, caller: Caller) -> ReadSerializer:
        return self.shape if self.public_shape is None or sees_all(caller) else self.public_shape


def sees_all(caller: Caller) -> bool:
    return caller.has_perm("catalog.view_product")


def list_changes(caller: Caller) -> QuerySet[Change]:
    rows = Change.objects.all()
    return rows if sees_all(caller) else hide_products(rows)


def list_orders(caller: Any) -> QuerySet[Order]:
    return Order.objects.visible_to(caller)


RESOURCES: Mapping[str, Resource] = {
    resource.name: resource
    for resource in (
        Resource("products", EXPORT, Product.objects.visible_to, ProductRead, None, ProductFilters, ("attr.",)),
        Resource("variants", EXPORT, Variant.objects.visible_to, VariantRead),
        Resource("stock", EXPORT, Stock.objects.visible_to, StockRow),
        Resource("changes", EXPORT, list_changes, ChangeRow, ActiveChangeRow, ChangeFilters),
        # Anybody reads orders of their own; all of them are for who may view orders.
        Resource("orders", "accounts.view_order", list_orders, OrderRead, is_followed=False),
    )
}


def read_changes_cursor() -> int:
    """Where to follow the change feed from, so that whatever is read after this call and changes later is heard of."""
    number_changes()
    return Bounds.read().newest
