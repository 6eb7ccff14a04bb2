"""Products for Google Merchant Center: an item for each variant, as RSS 2.0 or as a table with tabs.

catalog/imports/formats/google.py reads such files. What Google limits is cut here: an id to 50 characters (its end
becomes a fingerprint), a title to 150, a description to 5,000, and so on. Items of one
product have its SKU as their group.

Items are made a column at a time. Nearly all texts come through a rule unchanged, and to see that of a whole column
takes a fraction of what it takes for each text.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import batched
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
from exports.formats.encoders import Column as FileColumn
from exports.formats.encoders import Format, parse_rows

MOST_ID, MOST_TITLE, MOST_DESCRIPTION, MOST_BRAND, MOST_TYPE = 50, 150, 5_000, 70, 750
# The pictures beside the first one, and the variants of a product.
MOST_IMAGES, MOST_VARIANTS = 10, 10**9
# The products whose items are made together. With more, their columns outgrow the processor's cache: 100 take 30
# microseconds a product, 800 take 41.
BATCH_ROWS = 100
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
# The weighted sum of a GTIN's digits ends with 0, and so that of their ASCII codes with this, by the number of digits.
CODES_END = {digits: 48 * (digits - digits // 2 + 3 * (digits // 2)) % 10 for digits in (8, 12, 13, 14)}
# Texts that stand in an address as they are: nearly all. To quote one takes three times as long as to see this.
UNQUOTED = re.compile(r"[A-Za-z0-9._~-]*")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
IN_ADDRESSES = re.compile(r"[A-Za-z0-9._~:/-]*")
# XML 1.0 has no such characters, not even escaped.
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# The escapes of JSON by which such a character may come. Beside them it may come as it is, with this first byte.
ESCAPED_IN_JSON = re.compile(rb"\\(?:u00|u[fF]|[bf])")
BYTE_IN_JSON = b"\xef"
# These characters stand for < and > of elements until the texts of a chunk are escaped.
OPENS, CLOSES = "\x01", "\x02"
ESCAPES = ((b"&", b"&amp;"), (b"<", b"&lt;"), (b">", b"&gt;"), (b"\x01", b"<"), (b"\x02", b">"))
# What a text may have and still say nothing.
NO_TEXT = "".join(
    letter for letter in map(chr, range(0x10000)) if letter < " " or letter > "\ufffd" or letter.isspace()
)
NOT_IN_CELLS = re.compile(r"[\t\r\n\v\f\x85\u2028\u2029\0]+")

type Row = Mapping[str, Any]
# A text for each item, or for each product. It is empty where the attribute isn't given.
type Column = Sequence[str]


class FreeField(BooleanField):
    """Whether an order can take a piece of the variant with the id in the field's column, as for Product.in_stock."""

    # The sellable locations are looked up once a statement, not once a variant: without IS TRUE, PostgreSQL would join
    # them to each variant's pieces.
    database_expression = """EXISTS (
        SELECT 1 FROM catalog_stock s WHERE s.variant_id = {column} AND s.on_hand > s.reserved
        AND (s.location IN (SELECT code FROM catalog_location WHERE sellable)) IS TRUE)"""
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


def list_own(products: Sequence[Row]) -> dict[str, Column]:
    """What each item has of its own, by attribute."""
    sold = [(product, variant) for product in products for variant in product["variants"]]
    chosen = [choose(tuple(variant["options"].items())) for _, variant in sold]
    prices = [describe_price(product, variant) for product, variant in sold]
    gtins = [code if is_gtin(code := variant["barcode"]) else "" for _, variant in sold]
    return {
        "id": [shorten(variant["sku"]) for _, variant in sold],
        "title": [f"{product['title']}{more[0]}"[:MOST_TITLE] for (product, _), more in zip(sold, chosen, strict=True)],
        "link": list_links(products),
        "availability": ["in_stock" if variant["is_free"] else "out_of_stock" for _, variant in sold],
        "price": [price for price, _ in prices],
        "sale_price": [sale_price for _, sale_price in prices],
        "gtin": gtins,
        "identifier_exists": ["" if gtin else "no" for gtin in gtins],
        **{name: [texts[place] for texts in chosen] for place, name in enumerate(MOST_CHOSEN, start=1)},
    }


def list_shared(products: Sequence[Row]) -> dict[str, Column]:
    """What all items of each product have, by attribute; of MANY all addresses, with blanks between."""
    images = [list_addresses(product) for product in products]
    return {
        "item_group_id": [shorten(row["sku"]) if len(row["variants"]) > 1 else "" for row in products],
        # Google asks for a description.
        "description": [(row["description"].strip(NO_TEXT) or row["title"])[:MOST_DESCRIPTION] for row in products],
        "image_link": [urls[0] if urls else "" for urls in images],
        MANY: [" ".join(urls[1:]) for urls in images],
        "brand": [name_brand(product) for product in products],
        "product_type": [name_type(product) for product in products],
    }


def list_addresses(product: Row) -> list[str]:
    return [write_address(image["url"]) for image in product["images"]]


def name_brand(product: Row) -> str:
    return (product["brand"] or "")[:MOST_BRAND]


def name_type(product: Row) -> str:
    # Google knows no \> within a name.
    return (product["category"] or "").replace(r"\>", ">")[:MOST_TYPE]


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


def list_links(products: Sequence[Row]) -> Column:
    links = [link for product in products for link in [begin_link(product)] * len(product["variants"])]
    skus = [variant["sku"] for product in products for variant in product["variants"]]
    quoted = skus if UNQUOTED.fullmatch("".join(skus)) else map(quote_part, skus)
    return [link.replace("{sku}", sku) for link, sku in zip(links, quoted, strict=True)]


def quote_part(text: str) -> str:
    return text if UNQUOTED.fullmatch(text) else quote(text, safe="")


# Many variants have the same options.
@lru_cache(maxsize=1024)
def choose(options: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """What options add to the title, and a text, which may be empty, for each name of MOST_CHOSEN."""
    chosen = {OPTIONS.get(name.lower(), name): value for name, value in options}
    # Google has no attribute for these, and wants variants to differ in something.
    others = [f", {value}" for name, value in chosen.items() if name not in MOST_CHOSEN]
    return "".join(others), *((chosen.get(name) or "")[:most] for name, most in MOST_CHOSEN.items())


def is_gtin(code: str) -> bool:
    """Whether it has the right number of digits, and the last one proves the others (GS1, modulo 10)."""
    if not (len(code) in CODES_END and code.isascii() and code.isdigit()):
        return False
    codes = code.encode()
    return (sum(codes[-1::-2]) + 3 * sum(codes[-2::-2])) % 10 == CODES_END[len(code)]


def describe_price(product: Mapping[str, Any], variant: Mapping[str, Any]) -> tuple[str, str]:
    """The price and the sale price. A product has a price before for its cheapest variant."""
    before, price, currency = product["compare_at_price"], variant["price"], product["currency"]
    if before and price == product["price"] and Decimal(before) > Decimal(price):
        return f"{before} {currency}", f"{price} {currency}"
    return f"{price} {currency}", ""


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
    def write_rows(cls, lines: bytes) -> bytes:
        has_controls = may_have_controls(lines)
        return b"".join([cls.write_batch(batch, has_controls) for batch in batched(parse_rows(lines), BATCH_ROWS)])

    @classmethod
    def write_batch(cls, products: Sequence[Row], has_controls: bool) -> bytes:
        own = cls.write_parts(list_own(products), has_controls)
        shared = cls.write_parts(list_shared(products), has_controls)
        repeated = [part for part, product in zip(shared, products, strict=True) for _ in product["variants"]]
        return cls.join_parts(zip(own, repeated, strict=True))

    @classmethod
    def write_parts(cls, columns: Mapping[str, Column], has_controls: bool) -> list[str]:
        """A text for each row of the columns: a part of an item."""
        raise NotImplementedError

    @classmethod
    def join_parts(cls, parts: Iterable[tuple[str, str]]) -> bytes:
        """The lines of items, which have two parts each."""
        raise NotImplementedError


def may_have_controls(lines: bytes) -> bool:
    """Whether a text in these lines of JSON may have a character that XML hasn't."""
    # To look for one byte takes a fiftieth of looking for two.
    return BYTE_IN_JSON in lines or (b"\\" in lines and ESCAPED_IN_JSON.search(lines) is not None)


class GoogleRss(Google):
    """RSS 2.0 with Google's attributes, a line for each item."""

    suffix = "google"
    file_suffix = "xml"
    media_type = "application/xml; charset=utf-8"
    summary = "All {name} as a feed for Google Merchant Center (RSS 2.0), an item for each variant."

    @staticmethod
    def begin_file(columns: Sequence[FileColumn]) -> bytes:
        shop = "{0.scheme}://{0.netloc}/".format(urlsplit(settings.PRODUCT_URL_TEMPLATE))
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0">\n'
            f"<channel>\n<title>Products</title>\n<link>{escape(shop)}</link>\n<description>Products</description>\n"
        ).encode()

    @staticmethod
    def end_file() -> bytes:
        return b"</channel>\n</rss>\n"

    @classmethod
    def write_parts(cls, columns: Mapping[str, Column], has_controls: bool) -> list[str]:
        if has_controls:
            columns = {name: [NOT_IN_XML.sub(" ", text) for text in texts] for name, texts in columns.items()}
        return write_elements(columns)

    @classmethod
    def join_parts(cls, parts: Iterable[tuple[str, str]]) -> bytes:
        items = "".join([f"{OPENS}item{CLOSES}{own}{shared}{OPENS}/item{CLOSES}\n" for own, shared in parts]).encode()
        for sign, instead in ESCAPES:
            items = items.replace(sign, instead)
        return items


def write_elements(columns: Mapping[str, Column]) -> list[str]:
    """An element for each text that is given, with OPENS and CLOSES, and not escaped."""
    template, written = "", []
    for name, column in columns.items():
        first, last = f"{OPENS}g:{name}{CLOSES}", f"{OPENS}/g:{name}{CLOSES}"
        texts = [text.replace(" ", f"{last}{first}") for text in column] if name == MANY else column
        is_whole = all(texts)
        template += f"{first}%s{last}" if is_whole else "%s"
        written.append(texts if is_whole else [text and f"{first}{text}{last}" for text in texts])
    return [template % row for row in zip(*written, strict=True)]


class GoogleTsv(Google):
    """A table in UTF-8. A tab separates two cells; a tab or line end within a text becomes a blank."""

    suffix = "google_tsv"
    file_suffix = "tsv"
    media_type = "text/tab-separated-values; charset=utf-8"
    summary = "All {name} as a feed for Google Merchant Center (TSV), a row for each variant."

    @staticmethod
    def begin_file(columns: Sequence[FileColumn]) -> bytes:
        return ("\t".join([*list_own([]), *list_shared([])]) + "\n").encode()

    @classmethod
    def write_parts(cls, columns: Mapping[str, Column], has_controls: bool) -> list[str]:
        written = [write_cells(join_addresses(texts) if name == MANY else texts) for name, texts in columns.items()]
        return ["\t".join(row) for row in zip(*written, strict=True)]

    @classmethod
    def join_parts(cls, parts: Iterable[tuple[str, str]]) -> bytes:
        return "".join([f"{own}\t{shared}\n" for own, shared in parts]).encode()


def join_addresses(texts: Column) -> Column:
    # Google wants a comma between addresses, so one inside is encoded.
    return [text.replace(",", "%2C").replace(" ", ",") for text in texts]


def write_cells(texts: Column) -> Column:
    whole = "".join(texts)
    # Line ends and tabs can't be printed.
    return texts if whole.isprintable() and '"' not in whole else list(map(write_cell, texts))


def write_cell(text: str) -> str:
    # As RFC 4180 quotes: only a text with a quote needs any.
    text = NOT_IN_CELLS.sub(" ", text)
    return '"' + text.replace('"', '""') + '"' if '"' in text else text
