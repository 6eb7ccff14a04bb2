"""Shopify's product CSV, the template since 2025 and the one before. The rows with the same handle are one product.

The first row has the product's own columns. Each row may have a variant, an image or both.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from catalog.imports.formats.rows import RowReader, pick
from catalog.imports.formats.shop import ColumnMap, ProductRows, ShopFormat, name_group, read_texts
from catalog.imports.records import Record
from catalog.imports.values import is_blank
from catalog.writes.drafts import ProductDraft

# Our field by column: the names of both templates.
PRODUCT = {
    "Title": "title",
    "Body (HTML)": "description",
    "Description": "description",
    "Vendor": "brand",
    "Product category": "category",
    "Type": "category",
    "Product Category": "category",
    "Tags": "tags",
    "Status": "status",
    "Published": "published",
    "Published on online store": "published",
    "SEO Title": "seo_title",
    "SEO title": "seo_title",
    "SEO Description": "seo_description",
    "SEO description": "seo_description",
}
VARIANT = {
    "Variant SKU": "sku",
    "SKU": "sku",
    "Variant Price": "price",
    "Price": "price",
    "Variant Compare At Price": "compare_at_price",
    "Compare-at price": "compare_at_price",
    "Variant Grams": "weight",
    "Weight value (grams)": "weight",
    "Variant Inventory Qty": "stock",
    "Inventory quantity": "stock",
    "Variant Barcode": "barcode",
    "Barcode": "barcode",
}
HANDLES = ("Handle", "URL handle")
IMAGES = ("Image Src", "Product image URL")
POSITIONS = ("Image Position", "Image position")
ALTS = ("Image Alt Text", "Image alt text")
VARIANT_IMAGES = ("Variant Image", "Variant image URL")
# The template since 2025 writes `name`, the one before `Name`.
OPTIONS = {
    number: ((f"Option{number} Name", f"Option{number} name"), (f"Option{number} Value", f"Option{number} value"))
    for number in (1, 2, 3)
}
# What makes a later row a variant; Shopify fills the other columns in image rows, too.
SIGNS = ("Option1 Value", "Option1 value", "Variant SKU", "SKU", "Variant Price", "Price")


class Shopify(ShopFormat):
    name = "shopify"
    label = "Shopify CSV"
    fields_of = PRODUCT | VARIANT
    key_name = "handle"
    is_grouped = True
    unit = "g"
    product_columns: ClassVar[ColumnMap] = PRODUCT
    known = frozenset(
        {*PRODUCT, *VARIANT, *HANDLES, *IMAGES, *POSITIONS, *ALTS, *VARIANT_IMAGES}
        | {column for pair in OPTIONS.values() for columns in pair for column in columns}
    )

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        is_old = "Handle" in columns and bool({"Title", "Variant Price"} & columns)
        return is_old or ("URL handle" in columns and bool({"Title", "Price"} & columns))

    def group(self, record: Record) -> str:
        return name_group(self.name_product(record))

    def name_product(self, record: Record) -> str:
        return read_texts(record, HANDLES)

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft | None:
        product.require_key(records[0], "Handle", "give each row the Handle of its product")
        for record in records:
            self.read_row(product, record, is_first=record is records[0])
        return product.draft(handle=product.name)

    def read_row(self, product: ProductRows, record: Record, *, is_first: bool) -> None:
        row = product.open_row(record)
        if is_first:
            row.read_cell("Handle", self.fields["title"], product.name)
        # Rows that stand apart may come in any order, so a later one may be the one with the title.
        if is_first or not is_blank(record.cells.get("Title")):
            product.read_product(row, record, self.product_columns)
            self.read_option_names(product, row, record)
        if is_first or any(not is_blank(record.cells.get(column)) for column in SIGNS):
            self.read_variant(product, row, record)
        self.read_images(product, row, record)

    def read_option_names(self, product: ProductRows, row: RowReader, record: Record) -> None:
        for number, (names, _) in OPTIONS.items():
            for column in names:
                if value := product.read_option(row, column, record.cells.get(column)):
                    product.option_names[number] = value

    def read_variant(self, product: ProductRows, row: RowReader, record: Record) -> None:
        values = self.read_variant_values(product, row, record)
        if "barcode" in values:
            # Shopify's export puts an apostrophe before a barcode, so that spreadsheets don't round it.
            values["barcode"] = values["barcode"].removeprefix("'")
        chosen = {
            number: value
            for number, (_, columns) in OPTIONS.items()
            for column in columns
            if (value := product.read_option(row, column, record.cells.get(column)))
        }
        product.add_variant(row, values, chosen, self.read_pieces(product, row, record))

    def read_variant_values(self, product: ProductRows, row: RowReader, record: Record) -> dict[str, Any]:
        return product.read(row, record, VARIANT)

    def read_pieces(self, product: ProductRows, row: RowReader, record: Record) -> dict[str, int] | None:
        """The pieces by location, if the file has them; None for a single quantity."""
        return None

    def read_images(self, product: ProductRows, row: RowReader, record: Record) -> None:
        members = product.read(row, record, dict.fromkeys(POSITIONS, "position") | dict.fromkeys(ALTS, "alt"))
        for column in IMAGES:
            product.add_images(row, column, record.cells.get(column), **pick(members, ("position", "alt")))
        for column in VARIANT_IMAGES:
            if not is_blank(record.cells.get(column)):
                product.add_images(row, column, record.cells[column])
