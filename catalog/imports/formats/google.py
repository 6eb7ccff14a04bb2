"""A feed for Google Merchant Center, as TSV, CSV or XML. Items with one `item_group_id` are variants of one product.

A feed has no number of pieces, so `availability` says only what is out of stock.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from catalog.imports.days import read_times
from catalog.imports.formats.rows import RowReader
from catalog.imports.formats.shop import ProductRows, ShopFormat, choose_price, find_cell, read_texts
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.values import Blank, Field, is_blank
from catalog.querysets import MAIN
from catalog.writes.drafts import ProductDraft

PRODUCT = {"title": "title", "description": "description", "brand": "brand"}
VARIANT = {
    "gtin": "barcode",
    "price": "regular_price",
    "sale_price": "sale_price",
    "shipping_weight": "weight",
    "product_weight": "weight",
    "quantity": "stock",
    "sell_on_google_quantity": "stock",
}
# The first filled one is the category.
CATEGORIES = ("product_type", "google_product_category")
# What variants of one group may differ in.
OPTIONS = ("color", "size", "material", "pattern", "size_type", "size_system", "age_group", "gender")
TIMES = "sale_price_effective_date"
OTHERS = ("id", "item_group_id", "image_link", "additional_image_link", "availability", TIMES)


class Google(ShopFormat):
    name = "google"
    label = "Google Merchant Center feed"
    fields_of = PRODUCT | VARIANT
    is_grouped = True
    known = frozenset({*PRODUCT, *VARIANT, *CATEGORIES, *OPTIONS, *OTHERS})

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        self.fields |= dict.fromkeys(("regular_price", "sale_price"), self.fields["price"])
        self.fields |= self.make_weight("") | {"times": Field(read_times, blank=None)}

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        names = {normalise(column) for column in columns}
        signs = {"image_link", "availability", "item_group_id", "google_product_category", "condition", "sale_price"}
        return names >= {"id", "title", "price"} and "sku" not in names and bool(kind == "xml" or names & signs)

    def list_read(self) -> Sequence[str]:
        return [column for column in self.source.columns if normalise(column) in self.known]

    def find_name(self, column: str) -> str:
        return normalise(column)

    def group(self, record: Record) -> str:
        names = {normalise(column): column for column in record.cells}
        return read_texts(record, [names[name] for name in ("item_group_id", "id") if name in names])

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft:
        records = [Record(one.line, {normalise(k): v for k, v in one.cells.items()}, one.fault) for one in records]
        for record in records:
            row = product.open_row(record)
            if is_blank(record.cells.get("id")):
                row.refuse("id", "is blank", "give each item its id")
            product.read_product(row, record, PRODUCT)
            if "category" not in product.values and (cell := find_cell(record, *CATEGORIES)) is not None:
                paths = cell if isinstance(cell, list) else [cell]
                product.values["category"] = row.read_cell(CATEGORIES[0], self.fields["category"], paths[0])
            product.add_images(row, "image_link", record.cells.get("image_link"))
            product.add_images(row, "additional_image_link", record.cells.get("additional_image_link"))
            self.read_variant(product, row, record, is_alone=len(records) == 1)
        return product.draft(sku=self.group(records[0]))

    def read_variant(self, product: ProductRows, row: RowReader, record: Record, *, is_alone: bool) -> None:
        values = product.read(row, record, VARIANT)
        values["sku"] = row.read_cell("id", self.fields["sku"], record.cells.get("id"))
        if not self.is_in_time(row, record):
            values.pop("sale_price", None)
        values = {name: value for name, value in values.items() if value is not Blank.KEEPS}
        pieces = {MAIN: values["stock"]} if "stock" in values else {}
        if not pieces and re.sub(r"[\s_]", "", read_texts(record, ("availability",)).lower()) == "outofstock":
            pieces = {MAIN: 0}
        options = (
            {} if is_alone and is_blank(record.cells.get("item_group_id")) else self.read_options(product, row, record)
        )
        product.add_variant(row, choose_price(values, "regular_price", "sale_price"), options, pieces)

    def is_in_time(self, row: RowReader, record: Record) -> bool:
        """Whether the sale price is valid now. Without times it always is."""
        times = row.read_cell(TIMES, self.fields["times"], record.cells.get(TIMES))
        return times is None or (times is not Blank.KEEPS and times[0] <= datetime.now(UTC) <= times[1])

    def read_options(self, product: ProductRows, row: RowReader, record: Record) -> dict[str, str]:
        chosen = {name: product.read_option(row, name, record.cells.get(name)) for name in OPTIONS}
        return {name: value for name, value in chosen.items() if value}


def normalise(column: str) -> str:
    """`Image link`, `image link` and `g:image_link` are image_link."""
    return column.strip().lower().removeprefix("g:").replace(" ", "_")
