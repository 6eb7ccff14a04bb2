"""Products for Google Merchant Center: an item for each variant, as RSS 2.0 or as a table with tabs.

catalog/imports/formats/google.py reads such files. What Google limits is cut here: an id to 50 characters (its end
becomes a fingerprint), a title to 150, a description to 5,000. Items of one product have its SKU as their group.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from io import StringIO
from typing import Any, ClassVar
from urllib.parse import quote, urljoin, urlsplit
from xml.sax.saxutils import escape

from django.conf import settings
from rest_framework.relations import SlugRelatedField
from rest_framework.serializers import ModelSerializer

from catalog.models import Image, Product, Stock, Variant
from catalog.serializers import TextOfProduct
from catalog.writes.slugs import fingerprint
from exports.errors import SettingMissing
from exports.formats.encoders import Column, Format

MOST_ID, MOST_TITLE, MOST_DESCRIPTION = 50, 150, 5_000
# The pictures beside the first one, and the variants of a product.
MOST_IMAGES, MOST_VARIANTS = 10, 10**9
# The attributes in which Google lets variants differ, by the names that shops give them.
OPTIONS = {
    **dict.fromkeys(("color", "colour", "farbe", "couleur"), "color"),
    **dict.fromkeys(("size", "größe", "groesse", "taille"), "size"),
    **dict.fromkeys(("material", "matériau"), "material"),
    **dict.fromkeys(("pattern", "muster", "motif"), "pattern"),
}
NAMES = (
    "id", "item_group_id", "title", "description", "link", "image_link", "additional_image_link", "availability",
    "price", "sale_price", "brand", "gtin", "identifier_exists", "product_type", "color", "size", "material", "pattern",
)  # fmt: skip
GTIN = re.compile(r"\d{8}|\d{12,14}", re.ASCII)
# XML 1.0 has no such characters, not even escaped.
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

# The texts of an item by attribute; several for additional_image_link.
type Item = dict[str, str | list[str]]


class FeedStock(ModelSerializer[Stock]):
    class Meta:
        model = Stock
        fields = ("on_hand", "reserved")


class FeedVariant(ModelSerializer[Variant]):
    stock = FeedStock(many=True, read_only=True, max_length=MOST_VARIANTS)  # type: ignore[call-arg]  # many=True makes a ListSerializer

    class Meta:
        model = Variant
        fields = ("sku", "barcode", "options", "price", "stock")
        shown: ClassVar = ("stock",)


class FeedImage(ModelSerializer[Image]):
    class Meta:
        model = Image
        fields = ("url",)


class FeedProduct(ModelSerializer[Product]):
    """What the items of a product are made of."""

    brand: Any = SlugRelatedField(slug_field="name", read_only=True, allow_null=True)
    category: Any = SlugRelatedField(slug_field="breadcrumb", read_only=True, allow_null=True)
    description = TextOfProduct(source="text.description", read_only=True)
    variants = FeedVariant(many=True, read_only=True, max_length=MOST_VARIANTS)  # type: ignore[call-arg]  # many=True makes a ListSerializer
    images = FeedImage(many=True, read_only=True, max_length=1 + MOST_IMAGES)  # type: ignore[call-arg]  # many=True makes a ListSerializer

    class Meta:
        model = Product
        fields = (
            "id", "sku", "slug", "title", "brand", "category", "currency", "price", "compare_at_price", "description",
            "variants", "images",
        )  # fmt: skip
        shown: ClassVar = ("variants", "images")


def make_items(product: Mapping[str, Any]) -> Iterator[Item]:
    shared = describe_product(product)
    group = {"item_group_id": shorten(product["sku"])} if len(product["variants"]) > 1 else {}
    for variant in product["variants"]:
        item = shared | group | describe_variant(product, variant) | {"link": write_link(product, variant)}
        yield {name: value for name in NAMES if (value := item.get(name))}


def describe_product(product: Mapping[str, Any]) -> Item:
    images = [urljoin(f"{settings.PUBLIC_URL}/", image["url"].lstrip("/")) for image in product["images"]]
    return {
        # Google asks for a description.
        "description": (product["description"].strip() or product["title"])[:MOST_DESCRIPTION],
        "image_link": images[0] if images else "",
        "additional_image_link": images[1:],
        "brand": product["brand"] or "",
        # Google knows no \> within a name.
        "product_type": (product["category"] or "").replace(r"\>", ">"),
    }


def write_link(product: Mapping[str, Any], variant: Mapping[str, Any]) -> str:
    words = {"id": product["id"], "slug": product["slug"], "sku": variant["sku"]}
    return re.sub(r"\{(\w+)\}", lambda found: quote(str(words[found[1]]), safe=""), settings.PRODUCT_URL_TEMPLATE)


def describe_variant(product: Mapping[str, Any], variant: Mapping[str, Any]) -> Item:
    chosen = {OPTIONS.get(name.lower(), name): value for name, value in variant["options"].items()}
    # Google has no attribute for these, and wants variants to differ in something.
    others = [value for name, value in chosen.items() if name not in OPTIONS.values()]
    gtin = variant["barcode"] if GTIN.fullmatch(variant["barcode"]) else ""
    return {
        **{name: value for name, value in chosen.items() if name in OPTIONS.values()},
        **describe_price(product, variant),
        "id": shorten(variant["sku"]),
        "title": ", ".join([product["title"], *others])[:MOST_TITLE],
        "availability": "in_stock" if is_free(variant) else "out_of_stock",
        "gtin": gtin,
        "identifier_exists": "" if gtin else "no",
    }


def is_free(variant: Mapping[str, Any]) -> bool:
    """Whether a piece can be bought."""
    return any(stock["on_hand"] > stock["reserved"] for stock in variant["stock"])


def describe_price(product: Mapping[str, Any], variant: Mapping[str, Any]) -> dict[str, str]:
    """The price, and the one before it, which a product has for its cheapest variant."""
    before, price, currency = product["compare_at_price"], variant["price"], product["currency"]
    if before and price == product["price"] and Decimal(before) > Decimal(price):
        return {"price": f"{before} {currency}", "sale_price": f"{price} {currency}"}
    return {"price": f"{price} {currency}"}


def shorten(sku: str) -> str:
    return sku if len(sku) <= MOST_ID else f"{sku[: MOST_ID - 9]}.{fingerprint(sku)}"


class Google(Format):
    """What both files have."""

    shape = FeedProduct
    filters: ClassVar[Mapping[str, str]] = {"status": "active"}

    @classmethod
    def check_settings(cls) -> None:
        if not settings.PRODUCT_URL_TEMPLATE:
            what = "each product of a feed needs the address of its page in the shop"
            raise SettingMissing("PRODUCT_URL_TEMPLATE", what, "https://shop.example.com/p/{slug}")

    @classmethod
    def write_rows(cls, rows: Sequence[Mapping[str, Any]]) -> bytes:
        return cls.write_items(item for row in rows for item in make_items(row))

    @classmethod
    def write_items(cls, items: Iterable[Item]) -> bytes:
        """The lines of these items in the file's own form; each of the two formats has one."""
        raise NotImplementedError


class GoogleRss(Google):
    """RSS 2.0 with Google's attributes, a line for each item."""

    suffix = "google"
    file_suffix = "xml"
    media_type = "application/xml; charset=utf-8"
    summary = "All {name} as a feed for Google Merchant Center (RSS 2.0), an item for each variant."

    @staticmethod
    def begin_file(columns: Sequence[Column]) -> bytes:
        shop = "{0.scheme}://{0.netloc}/".format(urlsplit(settings.PRODUCT_URL_TEMPLATE))
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0">\n'
            f"<channel>\n<title>Products</title>\n<link>{escape(shop)}</link>\n<description>Products</description>\n"
        ).encode()

    @staticmethod
    def end_file() -> bytes:
        return b"</channel>\n</rss>\n"

    @classmethod
    def write_items(cls, items: Iterable[Item]) -> bytes:
        return "".join(
            f"<item>{''.join(write_element(*pair) for pair in item.items())}</item>\n" for item in items
        ).encode()


def write_element(name: str, value: str | list[str]) -> str:
    texts = value if isinstance(value, list) else [value]
    return "".join(f"<g:{name}>{escape(NOT_IN_XML.sub(' ', text))}</g:{name}>" for text in texts)


class GoogleTsv(Google):
    """A table in UTF-8. A tab separates two cells; a tab or line end within a text becomes a blank."""

    suffix = "google_tsv"
    file_suffix = "tsv"
    media_type = "text/tab-separated-values; charset=utf-8"
    summary = "All {name} as a feed for Google Merchant Center (TSV), a row for each variant."

    @staticmethod
    def begin_file(columns: Sequence[Column]) -> bytes:
        return write_table([NAMES])

    @classmethod
    def write_items(cls, items: Iterable[Item]) -> bytes:
        return write_table([[write_cell(item.get(name, "")) for name in NAMES] for item in items])


def write_cell(value: str | list[str]) -> str:
    # Google wants a comma between addresses, so one inside is encoded.
    text = ",".join(url.replace(",", "%2C") for url in value) if isinstance(value, list) else value
    return re.sub(r"[\t\r\n\v\f\x85\u2028\u2029\0]+", " ", text)


def write_table(rows: Iterable[Sequence[str]]) -> bytes:
    block = StringIO()
    csv.writer(block, delimiter="\t", lineterminator="\n").writerows(rows)
    return block.getvalue().encode()
