"""What exports of the catalogue need beside its lists: stock with its SKU, and changes as the feed shows them."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework.relations import SlugRelatedField
from rest_framework.serializers import CharField, ChoiceField, ModelSerializer

from catalog.changes.feed import Bounds, hide_products
from catalog.changes.views import check_entities
from catalog.filters import TextInFilter
from catalog.models import Change, Product, Stock
from catalog.querysets import Caller
from catalog.search import SEARCH_HITS
from config.api.problems.errors import InvalidParameter
from config.api.reads.counting import count_at_most
from config.api.reads.filtering import MomentFilter, SparseFilterSet

# Of a change for a caller who sees active products only; the feed says the same (catalog/changes/feed.py).
HIDDEN = (
    "{table}.product_id IS NOT NULL AND NOT EXISTS"
    " (SELECT 1 FROM catalog_product WHERE id = {table}.product_id AND status = 'active')"
)


class StockRow(ModelSerializer[Stock]):
    """`{"id": 3, "variant": 5, "sku": "A-1", "location": "main", "on_hand": 7, "reserved": 2}`"""

    sku: Any = SlugRelatedField(source="variant", slug_field="sku", read_only=True)

    class Meta:
        model = Stock
        fields = ("id", "variant", "sku", "location", "on_hand", "reserved")


class GivenText(CharField):
    """Null where it is empty."""

    database_expression = "nullif({column}, '')"


class ChangeRow(ModelSerializer[Change]):
    """`{"position": 1042, "entity": "variant", "entity_id": 7, "op": "update", "version": 3, "at": …, "sku": …}`"""

    sku = GivenText(read_only=True, allow_null=True)

    class Meta:
        model = Change
        fields = ("position", "entity", "entity_id", "op", "version", "at", "sku")


class ShownOp(ChoiceField):
    """A product that isn't active is a delete."""

    database_expression = f"CASE WHEN {HIDDEN} THEN 'delete' ELSE {{column}} END"


class ShownSku(GivenText):
    """Nobody's business where the product isn't active."""

    database_expression = f"CASE WHEN {HIDDEN} THEN NULL ELSE nullif({{column}}, '') END"


class ActiveChangeRow(ChangeRow):
    """The same for a caller who sees active products only."""

    op = ShownOp(choices=Change.Op.choices, read_only=True)
    sku = ShownSku(read_only=True, allow_null=True)


class ChangeFilters(SparseFilterSet):
    """As the feed's own parameters do. Times are RFC 3339."""

    since = MomentFilter(field_name="at", lookup_expr="gte", label="Changes made at or after this time")
    until = MomentFilter(field_name="at", lookup_expr="lt", label="Changes made before this time")
    entity = TextInFilter(method="keep_entities", label="Changes of these entities alone, comma-separated")

    class Meta:
        model = Change
        fields = ()

    def keep_entities(self, rows: QuerySet[Change], name: str, entities: Sequence[str]) -> QuerySet[Any]:
        check_entities(entities)
        return rows.filter(entity__in=entities)


def list_changes(caller: Caller) -> QuerySet[Change]:
    rows = Change.objects.all()
    return rows if caller.has_perm("catalog.view_product") else hide_products(rows)


def check_after(after: int) -> None:
    """What was purged behind it would be missing, and nothing would tell."""
    Bounds.read().check(after)


def refuse_cut_search(rows: QuerySet[Product], parameters: QueryDict) -> None:
    """A search reads its first SEARCH_HITS hits, and an export that leaves rows out isn't one."""
    words = parameters.get("search")
    if words and count_at_most(Product.objects.matching(words), SEARCH_HITS - 1) >= SEARCH_HITS:
        raise InvalidParameter(
            "search",
            f"It finds {SEARCH_HITS} products or more, too many for an export.",
            "Search for more words, or export by filters.",
        )
