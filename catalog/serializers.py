"""The JSON of catalogue rows. Read serializers name all members; a request may select some (projection.py)."""

from decimal import Decimal
from typing import Any, ClassVar

from django.db import connection
from drf_spectacular.utils import extend_schema_field
from rest_framework.relations import HyperlinkedIdentityField, SlugRelatedField
from rest_framework.serializers import (
    CharField,
    DateTimeField,
    DecimalField,
    IntegerField,
    JSONField,
    ListField,
    ModelSerializer,
    Serializer,
)

from catalog.media.addresses import MEDIA, SERVED
from catalog.media.models import SIZES
from catalog.models import Attribute, Brand, Category, Image, Location, Product, ScheduledPrice, Stock, Variant
from catalog.prices.models import VariantPrice
from catalog.tallies.reading import write_count
from config.api.reads.addresses import OwnPathField, TextAddressField, find_origin
from config.api.reads.dialects import DIALECTS, fill_expression

# The brands and categories of a page of 50 would have 6 KB of addresses, a ninth of the page; its variants 9 KB.
ROW_ONLY = ("url",)
# And no product's page reads tallies.
COUNTED = ("product_count", "count_relation", *ROW_ONLY)


class ProductCountField(IntegerField):
    """The number of active products of the brand or category with the id in the field's column."""

    database_expression: str
    is_never_null = True
    of: str

    def __init__(self, **options: Any) -> None:
        super().__init__(source="id", read_only=True, **options)

    def to_representation(self, value: int) -> int:
        sql = fill_expression(self.database_expression, "r.id", "r", DIALECTS[connection.vendor])
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {sql} FROM {self.of} r WHERE r.id = %s", [value])  # noqa: S608 (ours)
            return int(cursor.fetchone()[0])


class BrandCountField(ProductCountField):
    of = "catalog_brand"
    database_expression = write_count("TALLIES kind = 'brand' AND key = CAST({column} AS text)")


class CategoryCountField(ProductCountField):
    """With the products of all categories below: their paths are those from its own up to the sign after the digits."""

    of = "catalog_category"
    database_expression = write_count(
        """
        catalog_category below JOIN TALLIES kind = 'category' AND key = CAST(below.id AS text)
        WHERE below.path {not_before} {table}.path AND below.path {before} ({table}.path || ':')""",
        word="ON",
    )


class ExactField(CharField):
    """What `product_count` is: always `eq`, since it comes from tallies."""

    # A subselect, so that it isn't stored with the row.
    database_expression = "(SELECT CAST('eq' AS text))"
    is_never_null = True

    def __init__(self, **options: Any) -> None:
        super().__init__(source="id", read_only=True, help_text="Always `eq`: `product_count` is exact.", **options)

    def to_representation(self, value: Any) -> str:
        return "eq"


class RatingField(DecimalField):
    """`"4.50"`, or null for a product that nobody has rated; the database stores null as 0."""

    # to_representation() in SQL, for projection.py.
    database_expression = "nullif({column}, 0)"

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=3, decimal_places=2, **options)

    def to_representation(self, value: Decimal) -> Any:
        return super().to_representation(value) if value else None


class TextOfProduct(CharField):
    """A column of ProductText. It is "" if the product has no such row, where DRF would show null."""

    # projection.py shows this value if the row of texts is missing.
    database_default = ""

    def get_attribute(self, instance: Any) -> Any:
        value = super().get_attribute(instance)
        return self.database_default if value is None else value


class BrandRead(ModelSerializer[Brand]):
    """`{"id": 3, "slug": "acme", "name": "Acme", …, "product_count": 131, "count_relation": "eq"}`"""

    product_count = BrandCountField(help_text="The number of active products.")
    count_relation = ExactField()
    url = TextAddressField(view_name="brand-detail", lookup_field="slug")

    class Meta:
        model = Brand
        stored = kept = True
        fields = ("id", "slug", "name", "version", "created_at", "updated_at", *COUNTED)
        row_only: ClassVar = COUNTED


class CategoryRead(ModelSerializer[Category]):
    """`{"id": 12, "slug": "food-tea", "name": "Tea", "parent": "food", …}`; parent is null at the root."""

    parent: Any = SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    product_count = CategoryCountField(help_text="The number of active products, also in all categories below.")
    count_relation = ExactField()
    url = TextAddressField(view_name="category-detail", lookup_field="slug")

    class Meta:
        model = Category
        stored = kept = True
        fields = ("id", "slug", "name", "parent", "version", "created_at", "updated_at", *COUNTED)
        row_only: ClassVar = COUNTED


class AttributeRead(ModelSerializer[Attribute]):
    """`{"id": 4, "name": "volts", "type": "number", …}`: an attribute that `attr.NAME` filters by."""

    url = TextAddressField(view_name="attribute-detail", lookup_field="name")

    class Meta:
        model = Attribute
        fields = ("id", "name", "type", "version", "updated_at", "url")


class LocationRead(ModelSerializer[Location]):
    """`{"id": 2, "code": "berlin", "name": "Berlin", "sellable": true, "priority": 2, …}`: a place that has stock."""

    url = TextAddressField(view_name="location-detail", lookup_field="code")

    class Meta:
        model = Location
        fields = ("id", "code", "name", "sellable", "priority", "version", "created_at", "updated_at", "url")


@extend_schema_field({"type": "array", "items": {"$ref": "#/components/schemas/CategoryNode"}})
class NodesField(ListField):
    """A list of CategoryNode. The class can't name itself in its own body, so the schema names it here."""


class CategoryNode(Serializer[Category]):
    """`{"id": 12, "slug": "food", "name": "Food", "children": […]}`: a category and its whole subtree."""

    id = IntegerField()
    slug = CharField()
    name = CharField()
    children = NodesField()


class Suggested(Serializer[Any]):
    """`{"slug": "acme", "name": "Acme"}`: a brand or category that fits a beginning."""

    slug = CharField()
    name = CharField()


class SuggestedProduct(Serializer[Any]):
    """`{"id": 7, "slug": "oak-chair", "title": "Oak Chair"}`"""

    id = IntegerField()
    slug = CharField()
    title = CharField()


class Suggestions(Serializer[Any]):
    """At most ten of each kind, the best first. A phrase is the text with its last word whole, or corrected."""

    products = SuggestedProduct(many=True)
    brands = Suggested(many=True)
    categories = Suggested(many=True)
    phrases = ListField(child=CharField())


@extend_schema_field(
    {
        "type": "object",
        "description": "Small pictures (WebP) with at most 160, 480 and 1200 pixels a side.",
        "properties": {name: {"type": "string"} for name in SIZES},
        "required": list(SIZES),
        "additionalProperties": False,
    }
)
class ThumbnailsField(JSONField):
    """`{"small": "/media/….webp", "medium": …, "large": …}`; null until they are made, and for pictures elsewhere."""

    database_expression = "nullif({column}, '{{}}')"
    own_paths = (MEDIA,)

    def to_representation(self, value: Any) -> Any:
        origin = find_origin(self.context["request"])
        return {size: f"{origin}{path}" for size, path in value.items()} if value else None


class PictureAddress(OwnPathField):
    """The address of a picture. Those that this server serves are stored as paths."""

    own_paths = SERVED


class ImageRead(ModelSerializer[Image]):
    """`{"id": 9, "url": "https://…", "alt": "Front", "position": 1, "width": 800, "height": 600, "thumbnails": …}`

    The last three are known of uploaded pictures, and null for others.
    """

    url = PictureAddress(read_only=True)
    thumbnails = ThumbnailsField(read_only=True, allow_null=True)

    class Meta:
        model = Image
        fields = ("id", "url", "alt", "position", "width", "height", "thumbnails")


class StockRead(ModelSerializer[Stock]):
    """`{"location": "main", "on_hand": 7, "reserved": 2, "reason": "", "version": 4}`"""

    class Meta:
        model = Stock
        fields = ("location", "on_hand", "reserved", "reason", "version")


class VariantRead(ModelSerializer[Variant]):
    """`{"id": 5, "product": 2, "sku": "A-1", "options": {"Size": "M"}, "price": "9.50", "weight": 250, …}`

    `weight` is in grams. `expand=stock` adds the stock at each location.
    """

    stock = StockRead(many=True, read_only=True)
    url = TextAddressField(view_name="variant-detail", lookup_field="sku")

    class Meta:
        model = Variant
        fields = (
            "id",
            "product",
            "sku",
            "barcode",
            "options",
            "price",
            "weight",
            "position",
            "stock",
            "version",
            "created_at",
            "updated_at",
            "url",
        )
        row_only: ClassVar = ROW_ONLY


class PriceRead(ModelSerializer[VariantPrice]):
    """`{"price": "9.50", "currency": "USD", "since": "2026-11-30T09:12:00Z"}`: in force until the next `since`."""

    class Meta:
        model = VariantPrice
        fields = ("price", "currency", "since")


class ScheduledPriceRead(ModelSerializer[ScheduledPrice]):
    """`{"id": 3, "sku": "A-1", "price": "9.50", "from": "2026-11-27T00:00:00Z", "until": null, "state": "waiting", …}`

    `price_before` is the price that returns at `until`, once this one is set.
    """

    sku: Any = SlugRelatedField(source="variant", slug_field="sku", read_only=True)
    # A word of Python.
    vars()["from"] = DateTimeField(source="starts_at", read_only=True)
    until = DateTimeField(source="ends_at", read_only=True, allow_null=True)
    url = HyperlinkedIdentityField(view_name="scheduledprice-detail")

    class Meta:
        model = ScheduledPrice
        fields = (
            "id", "sku", "price", "from", "until", "state", "price_before", "version", "created_at", "updated_at",
            "url",
        )  # fmt: skip


class ProductRead(ModelSerializer[Product]):
    """A product in lists and details: `{"id": 7, "price": "12.50", "brand": {"id": 3, …}, "images": […], …}`.

    This is the expanded form: without `?expand=brand`, `brand` is the brand's slug. `price` is the lowest price of the
    variants, as a decimal string with two places. Times are UTC and end in `Z`. Images are in the order of `position`.
    """

    brand = BrandRead(read_only=True, allow_null=True)
    category = CategoryRead(read_only=True, allow_null=True)
    rating = RatingField(read_only=True, allow_null=True)
    description = TextOfProduct(source="text.description", read_only=True)
    seo_title = TextOfProduct(source="text.seo_title", read_only=True)
    seo_description = TextOfProduct(source="text.seo_description", read_only=True)
    image_url = PictureAddress(read_only=True)
    images = ImageRead(many=True, read_only=True)
    images_url = HyperlinkedIdentityField(view_name="product-images", lookup_url_kwarg="product")
    variants = VariantRead(many=True, read_only=True)
    variants_url = HyperlinkedIdentityField(view_name="product-variants", lookup_url_kwarg="product")
    url = HyperlinkedIdentityField(view_name="product-detail")

    class Meta:
        model = Product
        fields = (
            "id",
            "sku",
            "slug",
            "title",
            "brand",
            "category",
            "status",
            "currency",
            "price",
            "compare_at_price",
            "lowest_price_30_days",
            "in_stock",
            "rating",
            "image_url",
            "attributes",
            "description",
            "seo_title",
            "seo_description",
            "images",
            "images_url",
            "variants",
            "variants_url",
            "version",
            "created_at",
            "updated_at",
            # The last one, so that the columns of exported files keep their places.
            "url",
        )
        stored = True
        stored_lists: ClassVar = {"images": ("image_url",)}
        # These take kilobytes each, in another table. A list shows them only if `fields` names them.
        detail_only: ClassVar = ("description", "seo_title", "seo_description")
