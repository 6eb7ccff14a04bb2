"""Exports of the catalogue that no list has: products with the names of brand and category, as people's tables have
them; stock with its SKU; and the change log as the feed shows it.
"""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework.relations import SlugRelatedField
from rest_framework.serializers import CharField, ChoiceField, ModelSerializer

from catalog.changes.feed import Bounds, hide
from catalog.changes.models import Change
from catalog.changes.views import check_entities
from catalog.models import Product, Stock
from catalog.search.queries import SEARCH_HITS
from catalog.serializers import BrandRead, CategoryRead, ProductRead, VariantRead
from config.api.access.permissions import Caller
from config.api.problems.errors import InvalidParameter
from config.api.reads.counting import count_at_most
from config.api.reads.filtering import MomentFilter, SparseFilterSet, TextsFilter

# SQL: true for a change whose product a caller without the view permission can't see. catalog/changes/feed.py has
# the same rule.
HIDDEN = (
    "{table}.product_id IS NOT NULL AND NOT EXISTS"
    " (SELECT 1 FROM catalog_product WHERE id = {table}.product_id AND status = 'active')"
)


class BrandName(BrandRead):
    class Meta(BrandRead.Meta):
        stored = False
        slug_field = "name"


class CategoryPath(CategoryRead):
    class Meta(CategoryRead.Meta):
        stored = False
        slug_field = "breadcrumb"


class ProductRow(ProductRead):
    """A product in a table. `brand` is a name and `category` a path of names, such as `Food > Tea`.

    The slugs are behind them, since two brands may have one name. An import takes all four back.
    """

    brand = BrandName(read_only=True, allow_null=True)
    category = CategoryPath(read_only=True, allow_null=True)
    brand_slug: Any = SlugRelatedField(source="brand", slug_field="slug", read_only=True, allow_null=True)
    category_slug: Any = SlugRelatedField(source="category", slug_field="slug", read_only=True, allow_null=True)

    class Meta(ProductRead.Meta):
        stored = False
        # The last ones, so that the columns of exported files keep their places.
        fields = (*ProductRead.Meta.fields, "brand_slug", "category_slug")  # type: ignore[assignment]  # two more


class VariantRow(VariantRead):
    """A variant with the SKU of its product. An import finds the product by it, in another database too."""

    product_sku: Any = SlugRelatedField(source="product", slug_field="sku", read_only=True)

    class Meta(VariantRead.Meta):
        # The last one, so that the columns of exported files keep their places.
        fields = (*VariantRead.Meta.fields, "product_sku")  # type: ignore[assignment]  # one more


class StockRow(ModelSerializer[Stock]):
    """`{"id": 3, "variant": 5, "sku": "A-1", "location": "main", "on_hand": 7, "reserved": 2}`"""

    sku: Any = SlugRelatedField(source="variant", slug_field="sku", read_only=True)

    class Meta:
        model = Stock
        fields = ("id", "variant", "sku", "location", "on_hand", "reserved")


class GivenText(CharField):
    """A text column; an empty text becomes null."""

    database_expression = "nullif({column}, '')"


class ChangeRow(ModelSerializer[Change]):
    """`{"position": 1042, "entity": "variant", "entity_id": 7, "op": "update", "version": 3, "at": …, "sku": …}`"""

    sku = GivenText(read_only=True, allow_null=True)

    class Meta:
        model = Change
        fields = ("position", "entity", "entity_id", "op", "version", "at", "sku")


class ShownOp(ChoiceField):
    """The operation; `delete` for a product that isn't active."""

    database_expression = f"CASE WHEN {HIDDEN} THEN 'delete' ELSE {{column}} END"


class ShownSku(GivenText):
    """The SKU; null for a product that isn't active."""

    database_expression = f"CASE WHEN {HIDDEN} THEN NULL ELSE nullif({{column}}, '') END"


class ActiveChangeRow(ChangeRow):
    """ChangeRow for a caller who may see active products only."""

    op = ShownOp(choices=Change.Op.choices, read_only=True)
    sku = ShownSku(read_only=True, allow_null=True)


class ChangeFilters(SparseFilterSet):
    """The same parameters as the feed's. Times are RFC 3339."""

    since = MomentFilter(field_name="at", lookup_expr="gte", label="Changes made at or after this time")
    until = MomentFilter(field_name="at", lookup_expr="lt", label="Changes made before this time")
    entity = TextsFilter(method="keep_entities", label="Only changes of these entities, comma-separated")

    class Meta:
        model = Change
        fields = ()

    def keep_entities(self, rows: QuerySet[Change], name: str, entities: Sequence[str]) -> QuerySet[Any]:
        check_entities(entities)
        return rows.filter(entity__in=entities)


def list_changes(caller: Caller) -> QuerySet[Any]:
    return hide(Change.objects.all(), caller)


def check_after(after: int) -> None:
    """Raises ChangesGone if changes after this position were purged: the export would silently miss them."""
    Bounds.read().check(after)


def refuse_cut_search(rows: QuerySet[Product], parameters: QueryDict) -> None:
    """Raises InvalidParameter if a search has more hits than the SEARCH_HITS it reads: the export would miss rows."""
    words = parameters.get("search")
    if words and count_at_most(Product.objects.matching(words), SEARCH_HITS - 1) >= SEARCH_HITS:
        raise InvalidParameter(
            "search",
            f"It finds {SEARCH_HITS} products or more, too many for an export.",
            "Search for more words, or use filters instead.",
        )
