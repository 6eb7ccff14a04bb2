"""The whole catalogue as lines of JSON, each with its `_type`. catalog/imports/formats/tenfold.py takes them back.

    {"_type": "brand", "id": 3, "slug": "acme", "name": "Acme"}
    {"_type": "category", "id": 12, "slug": "food-tea", "name": "Tea", "parent": "food"}
    {"_type": "attribute", "id": 1, "name": "volts", "type": "number"}
    {"_type": "location", "code": "main", "name": "Main", "sellable": true, "priority": 1}
    {"_type": "product", "id": 7, "sku": "A-1", …, "variants": [{"sku": "A-1", …, "stock": […]}], "images": […]}

A category comes after its parent. The lines of one catalogue are the same on both databases, apart from ids, versions
and times: so lists and objects that a database sorts in its own way are sorted here.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import orjson
from rest_framework.relations import SlugRelatedField
from rest_framework.serializers import ModelSerializer

from catalog.models import Attribute, Brand, Category, Image, Location, Product, Stock, Variant
from catalog.serializers import TextOfProduct
from config.api.rendering.renderers import write_json

# Lists are whole here: no list is so long.
ALL = 10**9


class StockLine(ModelSerializer[Stock]):
    """`{"location": "main", "on_hand": 7}`. `reserved` belongs to orders."""

    class Meta:
        model = Stock
        fields = ("location", "on_hand")


class VariantLine(ModelSerializer[Variant]):
    stock = StockLine(many=True, read_only=True, max_length=ALL)  # type: ignore[call-arg]  # many=True makes a ListSerializer

    class Meta:
        model = Variant
        fields = ("sku", "barcode", "options", "price", "weight", "position", "stock")
        shown: ClassVar = ("stock",)


class ImageLine(ModelSerializer[Image]):
    class Meta:
        model = Image
        fields = ("url", "alt", "position")


class ProductLine(ModelSerializer[Product]):
    """All that can be written of a product. Its price, its stock and its first picture follow from its parts."""

    brand: Any = SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    category: Any = SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    description = TextOfProduct(source="text.description", read_only=True)
    seo_title = TextOfProduct(source="text.seo_title", read_only=True)
    seo_description = TextOfProduct(source="text.seo_description", read_only=True)
    variants = VariantLine(many=True, read_only=True, max_length=ALL)  # type: ignore[call-arg]  # many=True makes a ListSerializer
    images = ImageLine(many=True, read_only=True, max_length=ALL)  # type: ignore[call-arg]  # many=True makes a ListSerializer

    class Meta:
        model = Product
        fields = (
            "id", "sku", "slug", "title", "brand", "category", "status", "currency", "compare_at_price", "rating",
            "attributes", "description", "seo_title", "seo_description", "variants", "images", "version", "created_at",
            "updated_at",
        )  # fmt: skip
        shown: ClassVar = ("variants", "images")


def finish_product(line: bytes) -> bytes:
    """The line of a product, from its row's."""
    try:
        return write_json({"_type": "product", **sort_row(orjson.loads(line))})
    except (ValueError, TypeError, RecursionError):
        # Attributes that are nested deeper than Python or orjson go: they keep the order that they have.
        return b'{"_type":"product",' + line.removeprefix(b"{")


def sort_row(row: dict[str, Any]) -> dict[str, Any]:
    """`fields` may have left out any member."""
    for variant in row.get("variants", ()):
        variant["stock"].sort(key=lambda stock: stock["location"])
        variant["options"] = sort_members(variant["options"])
    if "attributes" in row:
        row["attributes"] = sort_members(row["attributes"])
    return row


def sort_members(value: Any) -> Any:
    """The value with the members of all its objects by name. jsonb keeps no order, SQLite's text does."""
    if isinstance(value, list):
        return [sort_members(item) for item in value]
    return {name: sort_members(value[name]) for name in sorted(value)} if isinstance(value, dict) else value


def read_head(alias: str) -> Iterator[dict[str, Any]]:
    """All brands, categories, declared attributes and locations. One query each, since these tables are small."""
    yield from list_rows(Brand.objects.using(alias).values("id", "slug", "name"), "brand", "slug")
    yield from list_categories(alias)
    yield from list_rows(Attribute.objects.using(alias).values("id", "name", "type"), "attribute", "name")
    places = Location.objects.using(alias).values("code", "name", "sellable", "priority")
    yield from list_rows(places, "location", "code")


def list_rows(rows: Any, kind: str, key: str) -> Iterator[dict[str, Any]]:
    return ({"_type": kind, **row} for row in sorted(rows.order_by(), key=lambda row: row[key]))


def list_categories(alias: str) -> Iterator[dict[str, Any]]:
    """By level, then by slug."""
    rows = Category.objects.using(alias).order_by().values_list("path", "id", "slug", "name", "parent__slug")
    for _, key, slug, name, parent in sorted(rows, key=lambda row: (len(row[0]), row[2])):
        yield {"_type": "category", "id": key, "slug": slug, "name": name, "parent": parent}
