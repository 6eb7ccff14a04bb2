"""The request bodies of writes (one product, or many rows), and the answers to bulk writes."""

from decimal import Decimal
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import BooleanField, CharField, FileField, IntegerField, Serializer

from catalog.locations import change_location, create_location
from catalog.media.cleaning import BadPicture, Cleaned, clean_picture
from catalog.media.storing import store_picture
from catalog.models import Attribute, Brand, Category, Image, Location, Product, ProductText, Stock, Variant
from catalog.querysets import MAIN
from catalog.writes import values
from catalog.writes.fields import (
    AddressField,
    CurrencyField,
    NumberField,
    ObjectField,
    PartList,
    SlugField,
    StatusField,
    TextField,
    WholeField,
)
from catalog.writes.parts import write_image, write_variant
from catalog.writes.plans import Mode
from catalog.writes.products import create_product, update_product
from catalog.writes.small_lists import change_category, change_row, create_attribute, create_brand, create_category
from config.api.writes.bodies import ChoiceField, RowList, StrictSerializer
from config.api.writes.bulk import GREATEST_NUMBER, STATUSES


class SlugOf(TextField):
    """The slug of another row. One query finds the rows of all slugs in a body."""

    def to_representation(self, value: Any) -> str:
        return str(value.slug)


class VariantWrite(StrictSerializer[Variant]):
    """A variant in a product's body. A stored one is found by `id` or `sku`; a new one needs `sku` and `price`.

    `on_hand` is the stock at the location `main`. `weight` is in grams.
    """

    id = WholeField(values.ID, required=False)
    sku = TextField(values.SKU, required=False)
    barcode = TextField(values.BARCODE, required=False)
    options = ObjectField(values.OPTIONS, required=False)
    price = NumberField(values.PRICE, required=False)
    weight = WholeField(values.COUNT, required=False)
    position = WholeField(values.COUNT, required=False)
    on_hand = WholeField(values.COUNT, required=False)

    class Meta:
        list_serializer_class = PartList


class OneVariantWrite(VariantWrite):
    """A variant of the product in the address; `on_hand` is its stock at the location `main`."""

    id = None  # type: ignore[assignment]  # this is how DRF takes a field off: the address names the row
    sku = TextField(values.SKU)
    price = NumberField(values.PRICE)

    def create(self, validated_data: dict[str, Any]) -> Variant:
        return write_variant(self.context["view"].product.pk, validated_data)

    def update(self, instance: Variant, validated_data: dict[str, Any]) -> Variant:
        return write_variant(instance.product_id, validated_data, instance.pk)


class ImageWrite(StrictSerializer[Image]):
    """An image in a product's body. A stored one is found by `id` or `url`; a new one needs `url`."""

    id = WholeField(values.ID, required=False)
    url = AddressField(values.IMAGE, required=False)
    alt = TextField(values.ALT, required=False)
    position = WholeField(values.COUNT, required=False)

    class Meta:
        list_serializer_class = PartList


class OneImageWrite(ImageWrite):
    """An image of the product in the address. Without `position` a new one is the last."""

    id = None  # type: ignore[assignment]  # the same
    url = AddressField(values.IMAGE)

    def create(self, validated_data: dict[str, Any]) -> Image:
        return write_image(self.context["view"].product.pk, validated_data)

    def update(self, instance: Image, validated_data: dict[str, Any]) -> Image:
        return write_image(instance.product_id, validated_data, instance.pk)


class PictureField(FileField):
    """The file of a form, as a picture that is safe to serve."""

    def to_internal_value(self, data: Any) -> Cleaned:  # type: ignore[override]  # the file as it will be served
        if not isinstance(data, UploadedFile):
            self.fail("invalid")
        try:
            return clean_picture(data)
        except BadPicture as error:
            raise ValidationError(f"{error.tell(data.name)}.", error.code) from None


class ImageUpload(OneImageWrite):
    """A form with the picture itself. The image gets an address of this server."""

    url = None  # type: ignore[assignment]  # the same
    file = PictureField(help_text="JPEG, PNG or WebP. It is turned upright, and loses what the camera noted in it.")

    def to_internal_value(self, data: Any) -> Any:
        # All members of a form are texts. A session's form has the token that its page was given.
        form = {name: data[name] for name in data if name != "csrfmiddlewaretoken"}
        if str(form.get("position", "")).isdecimal():
            form["position"] = int(form["position"][:19])
        return super().to_internal_value(form)

    def create(self, validated_data: dict[str, Any]) -> Image:
        picture = store_picture(validated_data.pop("file"))
        image = super().create(validated_data | {"url": picture.url})
        Image.objects.filter(pk=image.pk).update(**picture.members)
        return image


class ProductWrite(StrictSerializer[Product]):
    """The body of POST, PUT and PATCH. `brand` and `category` are slugs.

    `price` is for a product with one variant. If there are more, give `variants[].price` instead.
    """

    sku = TextField(values.SKU)
    slug = SlugField(values.SLUG, required=False)
    title = TextField(values.TITLE)
    brand = SlugOf(values.BRAND_SLUG, allow_null=True, required=False)
    category = SlugOf(values.CATEGORY_SLUG, allow_null=True, required=False)
    status = StatusField(required=False)
    currency = CurrencyField(values.CURRENCY, required=False)
    price = NumberField(values.PRICE, required=False)
    compare_at_price = NumberField(values.PRICE, required=False, allow_null=True)
    rating = NumberField(values.RATING, required=False, allow_null=True)
    attributes = ObjectField(values.ATTRIBUTES, required=False)
    description = TextField(values.DESCRIPTION, required=False)
    seo_title = TextField(values.SEO_TITLE, required=False)
    seo_description = TextField(values.SEO_DESCRIPTION, required=False)
    variants = VariantWrite(many=True, required=False, max_length=250)  # type: ignore[call-arg]  # many=True makes a ListSerializer
    images = ImageWrite(many=True, required=False, max_length=250)  # type: ignore[call-arg]  # many=True makes a ListSerializer

    def validate_rating(self, value: Decimal | None) -> Decimal:
        return value or Decimal(0)

    def to_representation(self, instance: Product) -> dict[str, Any]:
        """The stored product as a request body. The browsable API fills its form with it."""
        text = ProductText.objects.filter(pk=instance.pk).values("description", "seo_title", "seo_description")
        return super().to_representation(instance) | (text.first() or {})

    def create(self, validated_data: dict[str, Any]) -> Product:
        return create_product(validated_data)

    def update(self, instance: Product, validated_data: dict[str, Any]) -> Product:
        return update_product(instance, validated_data, replace=not self.partial)


# -- brands, categories, attributes ------------------------------------------------------------------------------


class BrandWrite(StrictSerializer[Brand]):
    """A brand. Without `slug` a new one gets the slug of its name, and a stored one keeps its slug."""

    name = TextField(values.NAME)
    slug = SlugField(values.OWN_BRAND_SLUG, required=False)

    def create(self, validated_data: dict[str, Any]) -> Brand:
        return create_brand(validated_data)

    def update(self, instance: Brand, validated_data: dict[str, Any]) -> Brand:
        return change_row(instance, validated_data)


class CategoryWrite(StrictSerializer[Category]):
    """A category. `parent` is a slug; null makes it a root. Another parent moves it with all that is below it.

    Without `slug` a new one gets the slug of its parent and its name, and a stored one keeps its slug.
    """

    name = TextField(values.NAME)
    slug = SlugField(values.OWN_CATEGORY_SLUG, required=False)
    # DRF's own `parent` is set on instances; this is a declared field.
    parent = SlugOf(values.CATEGORY_SLUG, allow_null=True, required=False)  # type: ignore[assignment]

    def create(self, validated_data: dict[str, Any]) -> Category:
        return create_category(validated_data)

    def update(self, instance: Category, validated_data: dict[str, Any]) -> Category:
        return change_category(instance, validated_data)


class MergeWrite(StrictSerializer[Any]):
    """The slug of the brand or category that gets the products."""

    into = TextField(values.CATEGORY_SLUG)


class MergeRead(Serializer[Any]):
    """What a merge has done. If `done` is false, more products are left: send it again, with another key."""

    into = CharField()
    moved = IntegerField(help_text="Products that this request has moved, 5,000 at most.")
    done = BooleanField(help_text="Whether all is moved, and the merged row deleted.")


class AttributeWrite(StrictSerializer[Attribute]):
    """A declared attribute: products are filtered by `attr.NAME`, and new values of it must have its type."""

    name = SlugField(values.ATTRIBUTE)
    type = ChoiceField(Attribute.Type.values, default=Attribute.Type.TEXT.value)

    def create(self, validated_data: dict[str, Any]) -> Attribute:
        return create_attribute(validated_data)

    def update(self, instance: Attribute, validated_data: dict[str, Any]) -> Attribute:
        return change_row(instance, validated_data)


class LocationWrite(StrictSerializer[Location]):
    """A place that has stock. Orders take from sellable ones, the lowest `priority` first; a new one is the last."""

    code = TextField(values.LOCATION)
    name = TextField(values.LOCATION_NAME, required=False)
    sellable = BooleanField(required=False)
    priority = WholeField(values.COUNT, required=False)

    def create(self, validated_data: dict[str, Any]) -> Location:
        return create_location(validated_data)

    def update(self, instance: Location, validated_data: dict[str, Any]) -> Location:
        return change_location(instance, validated_data)


# -- bulk writes ------------------------------------------------------------------------------------------------


class ProductItem(ProductWrite):
    """One product of a bulk write. A stored one is found by `id`, or else by `sku`. Missing members stay unchanged."""

    id = WholeField(values.ID, required=False)
    sku = TextField(values.SKU, required=False)
    title = TextField(values.TITLE, required=False)

    class Meta:
        list_serializer_class = RowList


class ProductBulkWrite(StrictSerializer[Product]):
    """`create` fails for a stored product, `update` and `delete` for a missing one. `upsert` creates or updates.

    Items of `delete` have an `id` or a `sku`, and nothing else.
    """

    # The value that the browsable API's form starts with.
    mode = ChoiceField([mode.value for mode in Mode], initial=Mode.UPSERT.value)
    on_error = ChoiceField(("reject_all", "skip"), default="reject_all", initial="reject_all")
    dry_run = BooleanField(default=False)
    items = ProductItem(many=True, max_length=GREATEST_NUMBER)  # type: ignore[call-arg]  # many=True makes a ListSerializer


class StockWrite(StrictSerializer[Stock]):
    """The pieces of a variant at a location: their number (`on_hand`), or how many more or fewer (`adjust`).

    With `if_on_hand` or `if_version` the row is only written if the stored one has this value; a location that the
    variant doesn't have yet has 0 of both. `reason` is kept with the stock, and so in the change log.
    """

    sku = TextField(values.SKU)
    location = TextField(values.LOCATION, default=MAIN, initial=MAIN)
    on_hand = WholeField(values.COUNT, required=False, initial=0)
    adjust = WholeField(values.DELTA, required=False)
    if_on_hand = WholeField(values.COUNT, required=False)
    if_version = WholeField(values.COUNT, required=False)
    reason = TextField(values.REASON, required=False)

    class Meta:
        list_serializer_class = RowList

    def get_initial(self) -> dict[str, Any]:
        """What the browsable API's form begins with."""
        return {name: value for name, value in super().get_initial().items() if name in ("sku", "location", "on_hand")}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "on_hand" not in attrs and "adjust" not in attrs:
            raise ValidationError({"on_hand": ["Give the pieces on hand, or adjust."]}, "required")
        if "on_hand" in attrs and "adjust" in attrs:
            raise ValidationError({"adjust": ["Give on_hand or adjust, not both."]}, "unexpected")
        return attrs


class PriceWrite(StrictSerializer[Variant]):
    """A variant's price in its product's currency."""

    sku = TextField(values.SKU)
    price = NumberField(values.PRICE, initial=Decimal("0.00"))

    class Meta:
        list_serializer_class = RowList


class FaultRead(Serializer[Any]):
    """One error, as in `errors` of a problem document."""

    pointer = CharField()
    code = CharField()
    detail = CharField()


class RowResult(Serializer[Any]):
    """The result of one row of the body."""

    index = IntegerField(help_text="The row's place in the list, from 0.")
    status = ChoiceField(STATUSES)
    errors = FaultRead(many=True)  # type: ignore[assignment]  # DRF takes it for a field, not for its property


class ProductResult(RowResult):
    id = IntegerField(allow_null=True, help_text="Null if the product isn't stored.")
    sku = CharField(allow_null=True)


class PriceResult(RowResult):
    sku = CharField(allow_null=True)


class StockResult(PriceResult):
    location = CharField(allow_null=True)
    on_hand = IntegerField(allow_null=True, help_text="After the write. Null if the row isn't stored.")
    version = IntegerField(allow_null=True)


class BulkRead(Serializer[Any]):
    """The number of rows with each status, and each row's result in the order of the body."""

    dry_run = BooleanField()
    created = IntegerField()
    updated = IntegerField()
    unchanged = IntegerField()
    deleted = IntegerField()
    failed = IntegerField()


class ProductBulkRead(BulkRead):
    results = ProductResult(many=True)


class StockBulkRead(BulkRead):
    results = StockResult(many=True)


class PriceBulkRead(BulkRead):
    results = PriceResult(many=True)
