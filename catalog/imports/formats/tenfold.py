"""Our own export of the catalogue (catalog/backup.py): a line for each brand, category, attribute, location, product.

Brands and categories are given by slug, never by name, and rows keep the order of the file: an export of what an empty
database took has the same lines.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from catalog.imports.formats.base import Format
from catalog.imports.formats.plain import IMAGE_MEMBERS, LINK_FIELDS, PRODUCT_FIELDS, VARIANT_MEMBERS, Plain
from catalog.imports.formats.rows import RowReader, name_key, pick
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.terms import TermDraft
from catalog.imports.values import PARTS, Blank, Field, walk_json
from catalog.models import Attribute
from catalog.writes.drafts import ProductDraft
from catalog.writes.values import (
    ALT,
    ATTRIBUTES,
    BARCODE,
    BRAND_SLUG,
    CATEGORY_SLUG,
    COUNT,
    CURRENCY,
    DESCRIPTION,
    FLAG,
    IMAGE,
    LOCATION,
    OPTIONS,
    PRICE,
    RATING,
    SEO_DESCRIPTION,
    SEO_TITLE,
    SKU,
    SLUG,
    STATUS,
    TITLE,
    BadValue,
    Choice,
    Line,
    Slug,
    refuse_odd_characters,
)

TYPE = "_type"
NAME = Line(200, needed="give a name")
# The members of each kind of line beside products, the one that finds it first.
TERMS: Mapping[str, Mapping[str, Field]] = {
    "brand": {"slug": Field(BRAND_SLUG.read), "name": Field(NAME.read)},
    "category": {
        "slug": Field(CATEGORY_SLUG.read),
        "name": Field(NAME.read),
        "parent": Field(CATEGORY_SLUG.read, blank=None),
    },
    "attribute": {
        "name": Field(Slug(60, needed="give a name").read),
        "type": Field(Choice(tuple(Attribute.Type.values)).read),
    },
    "location": {
        "code": Field(LOCATION.read),
        "name": Field(SEO_TITLE.read, blank=""),
        "sellable": Field(FLAG.read, blank=None),
        "priority": Field(COUNT.read, blank=1),
    },
}
TYPES = (*TERMS, "product")
MEMBERS = (
    "sku", "slug", "title", "brand", "category", "status", "currency", "compare_at_price", "rating", "attributes",
    "description", "seo_title", "seo_description", "variants", "images",
)  # fmt: skip
# What the database makes anew.
OWN = ("id", "version", "created_at", "updated_at")


def read_attributes(cell: Any) -> dict[str, Any]:
    """Attributes as they were stored, with numbers of any length."""
    value = ATTRIBUTES.read(cell)
    for item in walk_json(value):
        if isinstance(item, str):
            refuse_odd_characters(item)
        elif isinstance(item, float) and not math.isfinite(item):
            raise BadValue("invalid", "holds a number that is none", "remove it")
    return value


# No cell was written by a person or a spreadsheet, so the rules are applied without repairs.
FIELDS: Mapping[str, Field] = {
    "sku": Field(SKU.read),
    "slug": Field(SLUG.read),
    "title": Field(TITLE.read),
    "brand": Field(BRAND_SLUG.read, blank=None),
    "category": Field(CATEGORY_SLUG.read, blank=None),
    "status": Field(STATUS.read),
    "currency": Field(CURRENCY.read),
    "price": Field(PRICE.read),
    "compare_at_price": Field(PRICE.read, blank=None),
    "rating": Field(RATING.read),
    "attributes": Field(read_attributes),
    "description": Field(DESCRIPTION.read, blank=""),
    "seo_title": Field(SEO_TITLE.read, blank=""),
    "seo_description": Field(SEO_DESCRIPTION.read, blank=""),
    "variants": Field(PARTS.read),
    "barcode": Field(BARCODE.read, blank=""),
    "options": Field(OPTIONS.read),
    "weight": Field(COUNT.read),
    "stock": Field(COUNT.read),
    "location": Field(LOCATION.read),
    "images": Field(PARTS.read),
    "image_url": Field(IMAGE.read),
    "alt": Field(ALT.read, blank=""),
    "position": Field(COUNT.read),
}


class Tenfold(Plain):
    name = "tenfold"
    label = "our own export of the catalogue"
    is_exact = True
    known = frozenset({TYPE, *MEMBERS, *OWN, *(member for members in TERMS.values() for member in members)})
    product_fields: ClassVar[tuple[str, ...]] = (*PRODUCT_FIELDS, "currency", "attributes")

    def __init__(self, source: Source, options: Options) -> None:
        Format.__init__(self, source, options)
        self.refuse_map()
        self.columns = {name: (name,) for name in MEMBERS}
        self.fields = dict(FIELDS)
        self.image_fields = {"url": self.fields["image_url"]} | pick(self.fields, IMAGE_MEMBERS)
        self.variant_fields = pick(self.fields, VARIANT_MEMBERS)

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        return TYPE in columns and kind in ("ndjson", "json")

    def list_read(self) -> Iterable[str]:
        return self.known

    def find_field(self, column: str) -> str:
        return column

    def list_unread(self) -> list[dict[str, str]]:
        return Format.list_unread(self)

    def draft(self, records: Sequence[Record]) -> ProductDraft | TermDraft:
        (record,) = records
        kind = record.cells.get(TYPE, "")
        if kind in TERMS and not record.fault:
            return self.draft_term(record, kind)
        if kind == "product":
            return super().draft(records)
        row = RowReader(record, "")
        row.read_value(TYPE, Field(Choice(TYPES).read), kind)
        row.finish()
        raise AssertionError("a line of no known type has a fault")

    def draft_term(self, record: Record, kind: str) -> TermDraft:
        fields = TERMS[kind]
        key = next(iter(fields))
        row = RowReader(record, name_key(record.cells.get(key)))
        values = {name: self.read_member(row, name, field, record) for name, field in fields.items()}
        row.finish()
        return TermDraft(row.place, kind, values.pop(key), values)

    def read_member(self, row: RowReader, name: str, field: Field, record: Record) -> Any:
        read = row.read_value if field.blank is Blank.KEEPS else row.read_cell
        return read(name, field, record.cells.get(name))

    def make_links(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """By slug, so that none is created by its name."""
        return pick(values, LINK_FIELDS)

    def merge_attributes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """None: they replace those of the product, as a column."""
        return {}
