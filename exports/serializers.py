"""Rows of tables that have no list of such a shape: stock with its SKU, and changes as the feed shows them."""

from typing import Any

from rest_framework.relations import SlugRelatedField
from rest_framework.serializers import CharField, ChoiceField, ModelSerializer

from catalog.models import Change, Stock

# Of a change for a caller who sees active products only; the feed says the same (catalog/feed.py).
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
