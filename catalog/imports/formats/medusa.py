"""Medusa's export and template of products, of versions 1 and 2. Rows with one handle are variants of one product."""

import re
from collections.abc import Iterable, Sequence

from django.conf import settings

from catalog.imports.formats.shop import ProductRows, ShopFormat, name_group, read_texts
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.values import is_blank
from catalog.writes.drafts import ProductDraft

PRODUCT = {
    "product title": "title",
    "product description": "description",
    "product status": "status",
    "product type": "category",
    "product tags": "tags",
}
VARIANT = {
    "variant sku": "sku",
    "variant barcode": "barcode",
    "variant ean": "barcode",
    "variant upc": "barcode",
    "variant weight": "weight",
    "variant inventory quantity": "stock",
}
# Medusa's states of a product; the others are ours.
STATES = {"published": "active", "proposed": "draft", "rejected": "archived", "draft": "draft"}
IMAGE = re.compile(r"product thumbnail|(?:product )?image \d+(?: url)?")
CATEGORY = re.compile(r"product category \d+(?: name)?")
TAG = re.compile(r"product tag \d+")
OPTION = re.compile(r"((?:variant )?option (\d+)) name")
PRICE = re.compile(r"(?:variant )?price (?:([a-z]{3})|.*\[([a-z]{3})\])")


class Medusa(ShopFormat):
    name = "medusa"
    label = "Medusa's export of products"
    fields_of = PRODUCT | VARIANT
    key_name = "handle"
    is_grouped = True
    unit = "g"
    known = frozenset({
        "Product Handle", "Product Title", "Product Description", "Product Status", "Product Thumbnail",
        "Product Category 1", "Product Tag 1", "Product Image 1", "Variant Title", "Variant SKU", "Variant Barcode",
        "Variant Weight", "Variant Inventory Quantity", "Variant Price USD", "Variant Price EUR",
        "Variant Option 1 Name", "Variant Option 1 Value", "Option 1 Name", "Option 1 Value", "Image 1 Url",
    })  # fmt: skip

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        self.names = {column: normalise(column) for column in source.columns}
        found = ((name, PRICE.fullmatch(name)) for name in self.names.values())
        self.prices = [name for name, price in found if price and settings.CURRENCY.lower() in price.groups()]

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        names = {normalise(column) for column in columns}
        return "product handle" in names and bool(names & {"product title", "variant sku", "variant title"})

    def list_read(self) -> Iterable[str]:
        own = {*PRODUCT, *VARIANT, *self.prices, "product handle", "product weight"}
        patterns = (IMAGE, CATEGORY, TAG, OPTION, re.compile(r"(?:variant )?option \d+ value"))
        return [c for c, name in self.names.items() if name in own or any(one.fullmatch(name) for one in patterns)]

    def find_name(self, column: str) -> str:
        return normalise(column)

    def group(self, record: Record) -> str:
        return name_group(self.name_product(record))

    def name_product(self, record: Record) -> str:
        return next(
            (str(cell or "").strip() for c, cell in record.cells.items() if normalise(c) == "product handle"), ""
        )

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft:
        product.require_key(records[0], "Product Handle", "give each row its product's handle")
        for record in records:
            cells = {self.names.get(column, column): cell for column, cell in record.cells.items()}
            self.read_row(product, Record(record.line, cells, record.fault))
        return product.draft(handle=product.name)

    def read_row(self, product: ProductRows, record: Record) -> None:
        row = product.open_row(record)
        status = read_texts(record, ("product status",)).lower()
        if status in STATES:
            record.cells["product status"] = STATES[status]
        product.read_product(row, record, PRODUCT)
        categories = [cell for name, cell in record.cells.items() if CATEGORY.fullmatch(name) and cell]
        if categories and not product.values.get("category"):
            product.values["category"] = row.read_cell("Product Category 1", self.fields["category"], categories[0])
        if (tags := [cell for name, cell in record.cells.items() if TAG.fullmatch(name) and cell]) and (
            "tags" not in product.values
        ):
            product.values["tags"] = row.read_cell("Product Tag 1", self.fields["tags"], tags)
        for name, cell in record.cells.items():
            if IMAGE.fullmatch(name):
                product.add_images(row, name, cell)
        if is_blank(record.cells.get("variant weight")):
            record.cells["variant weight"] = record.cells.get("product weight")
        values = product.read(row, record, VARIANT | dict.fromkeys(self.prices, "price"))
        found = filter(None, map(OPTION.fullmatch, record.cells))
        options = [(one[0], f"{one[1]} value", f"Option{one[2]}") for one in found]
        product.add_variant(row, values, product.read_options(row, record, options))


def normalise(column: str) -> str:
    return re.sub(r"\s+", " ", column.strip().lower())
