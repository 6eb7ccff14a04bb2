"""BigCommerce's export: a product's row comes before the rows of its variants and images, which don't name it.

Both exports are read: the one with the column `Item`, and the older one with `Item Type`.
"""

import re
from collections.abc import Sequence
from typing import Any

from catalog.imports.formats.rows import RowReader
from catalog.imports.formats.shop import ProductRows, ShopFormat, choose_price, find_cell, read_texts
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.values import is_blank
from catalog.querysets import MAIN
from catalog.writes.drafts import ProductDraft

KINDS = ("Item", "Item Type")
NAMES = {"Name": "title", "Product Name": "title"}
PRODUCT = NAMES | {
    "Description": "description",
    "Product Description": "description",
    "Brand": "brand",
    "Brand Name": "brand",
    "Page Title": "seo_title",
    "Meta Description": "seo_description",
}
VARIANT = {
    "SKU": "sku",
    "Product Code/SKU": "sku",
    "UPC/EAN": "barcode",
    "Product UPC/EAN": "barcode",
    "GTIN": "barcode",
    "Price": "regular_price",
    "Sale Price": "sale_price",
    "Retail Price": "compare_at_price",
    "Weight": "weight",
    "Product Weight": "weight",
    "Current Stock": "stock",
    "Current Stock Level": "stock",
}
ABSENT = ("sale_price", "compare_at_price")
SKUS = ("SKU", "Product Code/SKU")
CATEGORIES = ("Category", "Categories")
VISIBLE = ("Is Visible", "Product Visible", "Product Visible?")
IMAGES = ("Image URL (Import)", "Internal Image URL (Export)", "Image URL", "Variant Image URL")
# A column for each picture in the older export, and one for its text.
NUMBERED = re.compile(r"Product Image URL - \d+|Product Image File - \d+")
DESCRIBES = re.compile(r"Product Image (?:URL|File)")
# `Type=Rectangle|Name=Size|Value=S`, and in the older export `[S]Size=S,[RB]Colour=Red`.
NEW_OPTION = re.compile(r"Name=([^|]+)\|Value=(.*?)(?=[,;|]?\s*Type=|$)", re.DOTALL)
OLD_OPTION = re.compile(r"\[\w+\]([^=,]+)=([^,]*)")
# The modern export has ids of categories: [23;24].
IDS = re.compile(r"\[?\d+(?:[;,|]\s*\d+)*\]?")
COLOUR = re.compile(r"\[?#[0-9A-Fa-f]{3,8}\]?$")


class BigCommerce(ShopFormat):
    name = "bigcommerce"
    label = "BigCommerce CSV"
    fields_of = PRODUCT | VARIANT
    is_grouped = True
    known = frozenset(
        {*KINDS, *PRODUCT, *VARIANT, *CATEGORIES, *VISIBLE, *IMAGES, "Options", "Image Description", "ID", "Product ID"}
    )

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        self.fields |= self.make_weight("")
        self.fields |= dict.fromkeys(("regular_price", "sale_price"), self.fields["price"])
        self.numbered = [column for column in source.columns if NUMBERED.fullmatch(column)]
        self.alts = {column: DESCRIBES.sub("Product Image Description", column) for column in self.numbered}
        self.products = 0

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        is_new = columns >= {"Item", "Name", "SKU"} and bool(
            columns & {"Options", "Inventory Tracking", "Current Stock"}
        )
        return is_new or columns >= {"Item Type", "Product Name"} or columns >= {"Product Code/SKU", "Product Name"}

    def list_read(self) -> Sequence[str]:
        return (*(self.known - {"ID", "Product ID"}), *self.numbered, *self.alts.values())

    def find_kind(self, record: Record) -> str:
        return read_texts(record, KINDS).lower() or "product"

    def group(self, record: Record) -> str:
        if self.find_kind(record) == "product":
            self.products += 1
        return f"product {self.products}"

    def name_product(self, record: Record) -> str:
        return read_texts(record, (*SKUS, *NAMES))

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft:
        first = records[0]
        if self.find_kind(first) != "product":
            rule = "has a row of a variant or an image before any product's"
            product.open_row(first).refuse(KINDS[0], rule, "keep the order of the export")
            product.finish()
        row = product.open_row(first)
        product.read_product(row, first, PRODUCT)
        self.read_own(product, row, first)
        own = self.read_values(product, row, first)
        for record in records[1:]:
            self.read_part(product, record, own)
        if not product.variants:
            product.add_variant(row, own, {})
        sku = read_texts(first, SKUS)
        return product.draft(sku=sku) if sku else product.draft(handle=read_texts(first, tuple(NAMES)))

    def read_own(self, product: ProductRows, row: RowReader, record: Record) -> None:
        if (cell := find_cell(record, *CATEGORIES)) is not None and not self.has_ids(str(cell)):
            product.values["category"] = self.read_category(row, str(cell))
        if visible := read_texts(record, VISIBLE).lower():
            product.values["status"] = "active" if visible in ("true", "y", "yes", "1") else "draft"
        for column in IMAGES:
            product.add_images(row, column, record.cells.get(column))
        for column, described in self.alts.items():
            alt = row.read_cell(described, self.fields["alt"], record.cells.get(described))
            product.add_images(row, column, record.cells.get(column), **({"alt": alt} if alt else {}))

    def has_ids(self, cell: str) -> bool:
        is_of_ids = IDS.fullmatch(cell.strip()) is not None
        if is_of_ids:
            reason = "the file has ids of categories, whose names it lacks, so categories stay as they are"
            self.source.notes.guess("category", "none", reason)
        return is_of_ids

    def read_category(self, row: RowReader, cell: str) -> Any:
        """The first of several paths, with / between names."""
        path = self.take_first([path for path in re.split(r"[;|]", cell) if path.strip()])
        names = [name.replace("\\/", "/") for name in re.split(r"(?<!\\)/", path)]
        return row.read_cell(CATEGORIES[0], self.fields["category"], [name for name in names if name.strip()])

    def read_values(self, product: ProductRows, row: RowReader, record: Record) -> dict[str, Any]:
        values = product.read(row, record, VARIANT)
        # BigCommerce writes 0 if there is no such price.
        values = {name: value for name, value in values.items() if value or name not in ABSENT}
        before = values.get("compare_at_price")
        values = choose_price(values, "regular_price", "sale_price")
        if before and values.get("compare_at_price") is None and before > values.get("price", 0):
            values["compare_at_price"] = before
        return values

    def read_part(self, product: ProductRows, record: Record, own: dict[str, Any]) -> None:
        row = product.open_row(record)
        if self.find_kind(record) == "rule":
            self.source.notes.guess("rules", "none", "rules that change the price or weight of variants aren't read")
        for column in IMAGES:
            product.add_images(row, column, record.cells.get(column))
        if self.find_kind(record) in ("variant", "sku"):
            values = self.read_values(product, row, record)
            # A variant without a price or weight of its own has its product's. Its pieces are its own.
            inherited = {name: own[name] for name in ("price", "compare_at_price", "weight") if name in own}
            if values.get("price"):
                inherited.pop("compare_at_price", None)
            pieces = {MAIN: values["stock"]} if "stock" in values else {}
            product.add_variant(row, inherited | values, self.read_options(product, row, record), pieces)

    def read_options(self, product: ProductRows, row: RowReader, record: Record) -> dict[str, str]:
        text = read_texts(record, ("Options",))
        column, pattern = ("Options", NEW_OPTION) if text else ("Product Name", OLD_OPTION)
        text = text or read_texts(record, ("Product Name", "Name"))
        return {
            product.read_option(row, column, name): product.read_option(
                row, column, COLOUR.sub("", value.strip(" ,;|"))
            )
            for name, value in pattern.findall(text)
            if not is_blank(value)
        }
