"""Products for Google Merchant Center: an item for each variant, as RSS 2.0 or as a table with tabs.

catalog/imports/formats/google.py reads such files. What Google limits is cut here: an id to 50 characters (its end
becomes a fingerprint), a title to 150, a description to 5,000, and so on. Items of one
product have its SKU as their group.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

from django.conf import settings
from django.utils.encoding import iri_to_uri
from rest_framework.relations import SlugRelatedField
from rest_framework.serializers import BooleanField, ModelSerializer

from catalog.models import Image, Product, Variant
from catalog.serializers import TextOfProduct
from catalog.writes.slugs import fingerprint
from exports.errors import SettingMissing
from exports.formats.encoders import Column, Format

MOST_ID, MOST_TITLE, MOST_DESCRIPTION, MOST_BRAND, MOST_TYPE = 50, 150, 5_000, 70, 750
# The pictures beside the first one, and the variants of a product.
MOST_IMAGES, MOST_VARIANTS = 10, 10**9
# The attributes in which Google lets variants differ, by the names that shops give them.
OPTIONS = {
    **dict.fromkeys(("color", "colour", "farbe", "couleur"), "color"),
    **dict.fromkeys(("size", "größe", "groesse", "taille"), "size"),
    **dict.fromkeys(("material", "matériau"), "material"),
    **dict.fromkeys(("pattern", "muster", "motif"), "pattern"),
}
# The letters of those attributes that an item may have.
MOST_CHOSEN = {"color": 100, "size": 100, "material": 200, "pattern": 100}
# The attribute of which an item may have several.
MANY = "additional_image_link"
# The attributes of a variant, and those that its product's variants share.
OWN = (
    "id", "title", "link", "availability", "price", "sale_price", "gtin", "identifier_exists", *MOST_CHOSEN,
)  # fmt: skip
SHARED = ("item_group_id", "description", "image_link", MANY, "brand", "product_type")
NAMES = OWN + SHARED
GTIN = re.compile(r"\d{8}|\d{12,14}", re.ASCII)
DIGITS = bytes.maketrans(b"0123456789", bytes(range(10)))
# Texts that stand in an address as they are: nearly all. To quote one takes three times as long as to see this.
UNQUOTED = re.compile(r"[A-Za-z0-9._~-]*")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
IN_ADDRESSES = re.compile(r"[A-Za-z0-9._~:/-]*")
# XML 1.0 has no such characters, not even escaped. The last two are U+FFFE and U+FFFF.
CONTROLS = bytes(set(range(32)) - set(b"\t\n\r"))
NOT_IN_XML = re.compile(b"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
# What a text may have and still say nothing.
NO_TEXT = "".join(
    letter for letter in map(chr, range(0x10000)) if letter < " " or letter > "\ufffd" or letter.isspace()
)
NOT_IN_CELLS = re.compile(r"[\t\r\n\v\f\x85\u2028\u2029\0]+")

# The texts of an item by attribute; a list for MANY.
type Item = dict[str, str | list[str]]


class FreeField(BooleanField):
    """Whether an order can take a piece of the variant with the id in the field's column, as for Product.in_stock."""

    # The sellable locations are looked up once a statement, not once a variant.
    database_expression = """EXISTS (
        SELECT 1 FROM catalog_stock s WHERE s.variant_id = {column} AND s.on_hand > s.reserved
        AND s.location IN (SELECT code FROM catalog_location WHERE sellable))"""
    is_never_null = True


class FeedVariant(ModelSerializer[Variant]):
    is_free = FreeField(source="id", read_only=True)

    class Meta:
        model = Variant
        fields = ("sku", "barcode", "options", "price", "is_free")


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
    """What the item of each variant has of its own. `describe_product` has the rest."""
    link = begin_link(product)
    for variant in product["variants"]:
        yield describe_variant(product, variant, finish_link(link, variant))


def describe_product(product: Mapping[str, Any]) -> Item:
    """What all items of a product have."""
    images = [write_address(image["url"]) for image in product["images"]]
    item: Item = {
        "item_group_id": shorten(product["sku"]) if len(product["variants"]) > 1 else "",
        # Google asks for a description.
        "description": (product["description"].strip(NO_TEXT) or product["title"])[:MOST_DESCRIPTION],
        "image_link": images[0] if images else "",
        MANY: images[1:],
        "brand": (product["brand"] or "")[:MOST_BRAND],
        # Google knows no \> within a name.
        "product_type": (product["category"] or "").replace(r"\>", ">")[:MOST_TYPE],
    }
    return {name: value for name, value in item.items() if value}


def write_address(url: str) -> str:
    """A picture's whole address, in ASCII and without blanks."""
    whole = url if SCHEME.match(url) else f"{settings.PUBLIC_URL}/{url.lstrip('/')}"
    return whole if IN_ADDRESSES.fullmatch(whole) else str(iri_to_uri(whole))


def begin_link(product: Mapping[str, Any]) -> str:
    """The address of a product's page, still with `{sku}`: what is put in has no braces once it is quoted."""
    template: str = settings.PRODUCT_URL_TEMPLATE
    return template.replace("{id}", str(product["id"])).replace("{slug}", quote_part(product["slug"]))


def finish_link(link: str, variant: Mapping[str, Any]) -> str:
    return link.replace("{sku}", quote_part(variant["sku"]))


def quote_part(text: str) -> str:
    return text if UNQUOTED.fullmatch(text) else quote(text, safe="")


def describe_variant(product: Mapping[str, Any], variant: Mapping[str, Any], link: str) -> Item:
    chosen = {OPTIONS.get(name.lower(), name): value for name, value in variant["options"].items()}
    # Google has no attribute for these, and wants variants to differ in something.
    others = [value for name, value in chosen.items() if name not in MOST_CHOSEN]
    gtin = variant["barcode"] if is_gtin(variant["barcode"]) else ""
    item: Item = {
        "id": shorten(variant["sku"]),
        "title": ", ".join([product["title"], *others])[:MOST_TITLE],
        "link": link,
        "availability": "in_stock" if variant["is_free"] else "out_of_stock",
        **describe_price(product, variant),
        **({"gtin": gtin} if gtin else {"identifier_exists": "no"}),
    }
    if chosen:
        item |= {name: chosen[name][:most] for name, most in MOST_CHOSEN.items() if chosen.get(name)}
    return item


def is_gtin(code: str) -> bool:
    """Whether it has the right number of digits, and the last one proves the others (GS1, modulo 10)."""
    if not GTIN.fullmatch(code):
        return False
    digits = code[::-1].encode().translate(DIGITS)
    return (sum(digits[::2]) + 3 * sum(digits[1::2])) % 10 == 0


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
        return "".join(line for row in rows for line in cls.write_lines(row)).encode()

    @classmethod
    def write_lines(cls, product: Mapping[str, Any]) -> Iterator[str]:
        """The lines of a product's items, in the file's own form; each of the two formats has one."""
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
    def write_rows(cls, rows: Sequence[Mapping[str, Any]]) -> bytes:
        return blank_for_xml(super().write_rows(rows))

    @classmethod
    def write_lines(cls, product: Mapping[str, Any]) -> Iterator[str]:
        shared = write_elements(describe_product(product))
        for item in make_items(product):
            yield f"<item>{write_elements(item)}{shared}</item>\n"


def write_elements(item: Item) -> str:
    names, several = tuple(item), 1
    texts: list[Any] = [*item.values()]
    if MANY in item:
        place = names.index(MANY)
        several = len(texts[place])
        texts[place : place + 1] = texts[place]
    whole = "".join(texts)
    # Nearly no text needs it, and to see that of all at once takes a tenth of what it takes to escape each.
    if "&" in whole or "<" in whole or ">" in whole:
        texts = [escape(text) if "&" in text or "<" in text or ">" in text else text for text in texts]
    return make_template(names, several) % tuple(texts)


# A few names come or don't, and one comes up to ten times.
@lru_cache(maxsize=1024)
def make_template(names: tuple[str, ...], several: int) -> str:
    """The elements of an item; of MANY so many."""
    return "".join(f"<g:{name}>%s</g:{name}>" * (several if name == MANY else 1) for name in names)


def blank_for_xml(data: bytes) -> bytes:
    """The text with a blank in place of each character that XML hasn't."""
    # Nearly no text has one, and to look for them so takes a fifth of what the expression takes.
    is_clean = len(data.translate(None, CONTROLS)) == len(data) and b"\xef\xbf" not in data
    return data if is_clean else NOT_IN_XML.sub(b" ", data)


class GoogleTsv(Google):
    """A table in UTF-8. A tab separates two cells; a tab or line end within a text becomes a blank."""

    suffix = "google_tsv"
    file_suffix = "tsv"
    media_type = "text/tab-separated-values; charset=utf-8"
    summary = "All {name} as a feed for Google Merchant Center (TSV), a row for each variant."

    @staticmethod
    def begin_file(columns: Sequence[Column]) -> bytes:
        return ("\t".join(NAMES) + "\n").encode()

    @classmethod
    def write_lines(cls, product: Mapping[str, Any]) -> Iterator[str]:
        shared = write_cells(describe_product(product), SHARED)
        for item in make_items(product):
            yield f"{write_cells(item, OWN)}\t{shared}\n"


def write_cells(item: Item, names: Sequence[str]) -> str:
    texts = [value if isinstance(value := item.get(name, ""), str) else join_addresses(value) for name in names]
    whole = "".join(texts)
    # As in write_elements. Line ends and tabs can't be printed.
    return "\t".join(texts if whole.isprintable() and '"' not in whole else map(write_cell, texts))


def join_addresses(urls: Sequence[str]) -> str:
    # Google wants a comma between addresses, so one inside is encoded.
    return ",".join(url.replace(",", "%2C") for url in urls)


def write_cell(text: str) -> str:
    # As RFC 4180 quotes: only a text with a quote needs any.
    text = NOT_IN_CELLS.sub(" ", text)
    return '"' + text.replace('"', '""') + '"' if '"' in text else text
