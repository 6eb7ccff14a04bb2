"""Spree's CSV of products. Rows with one slug are variants of one product; the first one has the product's columns."""

import re
from collections.abc import Iterable, Sequence

from catalog.imports.formats.rows import RowReader
from catalog.imports.formats.shop import ProductRows, ShopFormat, name_group, read_texts
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.values import is_blank
from catalog.writes.drafts import ProductDraft

PRODUCT = {
    "name": "title",
    "description": "description",
    "status": "status",
    "brand_name": "brand",
    "vendor_name": "brand",
    "tags": "tags",
    "meta_title": "seo_title",
    "meta_description": "seo_description",
}
VARIANT = {
    "sku": "sku",
    "barcode": "barcode",
    "price": "price",
    "compare_at_price": "compare_at_price",
    "inventory_count": "stock",
}
IMAGE = re.compile(r"image\d+_src")
CATEGORY = re.compile(r"category\d+")
OPTION = re.compile(r"option(\d)_name")
OTHERS = ("slug", "weight", "weight_unit", "currency")
# Between the names of a category's path; the first is the taxonomy's, which holds all.
ARROW = "->"
TAXONOMY = "Categories"


class Spree(ShopFormat):
    name = "spree"
    label = "Spree's CSV of products"
    fields_of = PRODUCT | VARIANT
    key_name = "handle"
    is_grouped = True
    known = frozenset({*PRODUCT, *VARIANT, *OTHERS, "option1_name", "option1_value", "image1_src", "category1"})

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        self.fields |= self.make_weight("")
        found = filter(None, map(OPTION.fullmatch, source.columns))
        self.options_of = [(one[0], f"option{one[1]}_value", f"Option{one[1]}") for one in found]

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        signs = {"option1_name", "image1_src", "inventory_count", "category1", "vendor_name"}
        return columns >= {"slug", "sku", "name", "price"} and bool(columns & signs)

    def list_read(self) -> Iterable[str]:
        patterns = (IMAGE, CATEGORY, re.compile(r"option\d_(name|value)"))
        own = {*PRODUCT, *VARIANT, *OTHERS}
        return [name for name in self.source.columns if name in own or any(one.fullmatch(name) for one in patterns)]

    def group(self, record: Record) -> str:
        return name_group(self.name_product(record))

    def name_product(self, record: Record) -> str:
        return read_texts(record, ("slug",))

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft:
        product.require_key(records[0], "slug", "give each row the slug of its product")
        rows = [product.open_row(record) for record in records]
        options = [product.read_options(row, one, self.options_of) for row, one in zip(rows, records, strict=True)]
        for row, record, chosen in zip(rows, records, options, strict=True):
            self.read_own(product, row, record)
            # Beside variants with options, the row without is the master variant, which isn't sold.
            if chosen or not any(options):
                self.read_variant(product, row, record, chosen)
        return product.draft(handle=product.name)

    def read_own(self, product: ProductRows, row: RowReader, record: Record) -> None:
        product.read_product(row, record, PRODUCT)
        row.read_cell("currency", self.fields["currency"], record.cells.get("currency"))
        for name, cell in record.cells.items():
            if IMAGE.fullmatch(name):
                product.add_images(row, name, cell)
            if CATEGORY.fullmatch(name) and not is_blank(cell) and not product.values.get("category"):
                names = [part.strip() for part in str(cell).split(ARROW)]
                names = names[1:] if names[0] == TAXONOMY and len(names) > 1 else names
                value = row.read_cell(name, self.fields["category"], names if len(names) > 1 else names[0])
                product.values["category"] = value

    def read_variant(self, product: ProductRows, row: RowReader, record: Record, options: dict[str, str]) -> None:
        values = product.read(row, record, VARIANT)
        if not is_blank(weight := record.cells.get("weight")):
            beside = Record(record.line, {"weight": f"{weight} {read_texts(record, ('weight_unit',))}".strip()})
            values |= product.read(row, beside, {"weight": "weight"})
        product.add_variant(row, values, options)
