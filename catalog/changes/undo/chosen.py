"""A request in, the changes that it chooses: which they are, and the keys of their products and rows, page by page."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Min, Q, QuerySet

from catalog.changes.models import Change
from catalog.changes.undo.rows import list_restorable
from catalog.models import Variant


@dataclass(frozen=True)
class Chosen:
    """The changes of one request (`request_id`), or those of `products` after `position`; up to `until`."""

    request_id: str
    position: int | None
    products: Sequence[int]
    until: int

    def has(self, change: Any) -> bool:
        if change.position > self.until:
            return False
        if self.position is None:
            return bool(change.request_id == self.request_id)
        return bool(change.position > self.position)

    @property
    def rows(self) -> QuerySet[Change]:
        """The changes, without those of stock whose variant was deleted with it if products are given."""
        upto = Change.objects.filter(position__lte=self.until, entity__in=list_restorable())
        upto = upto.exclude(op=Change.Op.TRUNCATE)
        if self.position is None:
            return upto.filter(request_id=self.request_id)
        return upto.filter(product_id__in=self.products, position__gt=self.position)

    def measure(self) -> tuple[int | None, int]:
        """The first position that may be one of a chosen change, None if there is none; and the number of changes."""
        number = self.rows.count()
        if not number or self.position is not None:
            return (self.position + 1 if number and self.position is not None else None), number
        return self.rows.aggregate(first=Min("position"))["first"], number

    # -- the phases' keys, in ascending order

    def list_products(self, after: int, most: int) -> list[int]:
        if self.position is not None:
            return sorted(key for key in self.products if key > after)[:most]
        found = self.rows.filter(product_id__gt=after).order_by("product_id").values_list("product_id", flat=True)
        return [key for key in found.distinct()[:most] if key]

    def list_new_products(self, after: int, most: int) -> list[int]:
        new = self.rows.filter(entity="product", op=Change.Op.CREATE, entity_id__gt=after, product_id__gt=after)
        return list(new.order_by("product_id").values_list("entity_id", flat=True)[:most])

    def list_rows(self, entities: Collection[str], after: int, most: int) -> list[tuple[str, int]]:
        """Rows without a product, by entity and key: one page of keys after `after`, whatever their entity."""
        found = self.find_without_product(entities).filter(entity_id__gt=after).order_by("entity_id")
        keys = list(found.values_list("entity_id", flat=True).distinct()[:most])
        return list(found.filter(entity_id__in=keys).order_by().values_list("entity", "entity_id").distinct())

    def find_without_product(self, entities: Collection[str]) -> QuerySet[Change]:
        if self.position is None:
            return self.rows.filter(product_id=None, entity__in=entities)
        # Stock that was deleted with its variant has lost its product.
        of_products = Q(before__variant_id__in=list(self.list_variants()))
        later = Change.objects.filter(position__gt=self.position, position__lte=self.until)
        return later.filter(of_products, product_id=None, entity="stock", entity__in=entities)

    def list_variants(self) -> QuerySet[Any]:
        return Variant.objects.filter(product_id__in=self.products).values_list("pk", flat=True)
