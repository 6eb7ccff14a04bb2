"""Magento's (Adobe Commerce's) export. A configurable product names the SKUs of its variants, which have own rows.

Rows of one store view are translations, and aren't read.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from catalog.imports.days import read_magento_day
from catalog.imports.formats.rows import RowReader
from catalog.imports.formats.shop import ProductRows, ShopFormat, choose_price, read_texts, refuse_collection
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.values import Field, is_blank
from catalog.writes.drafts import ProductDraft

PRODUCT = {
    "name": "title",
    "description": "description",
    "short_description": "description",  # if there is no long one
    "manufacturer": "brand",
    "brand": "brand",
    "meta_title": "seo_title",
    "meta_description": "seo_description",
}
VARIANT = {
    "sku": "sku",
    "price": "regular_price",
    "special_price": "sale_price",
    "weight": "weight",
    "qty": "stock",
    "barcode": "barcode",
    "ean": "barcode",
    "gtin": "barcode",
    "upc": "barcode",
}
IMAGES = ("base_image", "additional_images")
OTHERS = ("store_view_code", "product_type", "categories", "product_online", "configurable_variations", "url_key")
DATES = ("special_price_from_date", "special_price_to_date")
# The root of all categories, which no shop shows.
ROOT = "Default Category"
# What Magento has in place of a picture.
NO_IMAGE = "no_selection"
PAIR = re.compile(r"\s*([^=,|]+)=([^,|]*)")


class Magento(ShopFormat):
    name = "magento"
    label = "Magento's export of products"
    fields_of = PRODUCT | VARIANT
    is_grouped = True
    known = frozenset({*PRODUCT, *VARIANT, *IMAGES, *OTHERS, *DATES, "base_image_label", "attribute_set_code"})

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        self.fields |= self.make_weight("")
        self.fields |= dict.fromkeys(("regular_price", "sale_price"), self.fields["price"])
        self.fields |= {"day": Field(read_magento_day, blank=None)}

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        signs = {"store_view_code", "attribute_set_code", "product_type", "configurable_variations", "product_websites"}
        return columns >= {"sku", "name"} and bool(columns & signs)

    def list_read(self) -> Iterable[str]:
        return self.known - {"attribute_set_code"}

    def group(self, record: Record) -> str:
        return read_texts(record, ("sku",))

    def list_joined(self, record: Record) -> Iterable[str]:
        return self.list_variations(record)

    def list_variations(self, record: Record) -> dict[str, dict[str, str]]:
        """The options of each variant by its SKU: `sku=S-red,color=Red|sku=S-blue,color=Blue`."""
        found = {}
        for part in read_texts(record, ("configurable_variations",)).split("|"):
            options = {name.strip(): value.strip() for name, value in PAIR.findall(part)}
            if sku := options.pop("sku", ""):
                found[sku] = options
        return found

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft | None:
        own = [record for record in records if is_blank(record.cells.get("store_view_code"))]
        if len(own) < len(records):
            self.source.notes.guess(
                "store_view_code", "blank", "rows of a store view are translations, and aren't read"
            )
        if not own:
            return None
        main = next((record for record in own if self.list_variations(record)), own[0])
        variations = self.list_variations(main)
        product.require_key(main, "sku", "give each product its sku")
        refuse_collection(product, main, "product_type")
        row = product.open_row(main)
        self.read_own(product, row, main)
        if not variations:
            product.add_variant(row, self.read_values(product, row, main), {})
        for record in own:
            if record is not main:
                self.read_variation(product, record, variations)
        return product.draft(sku=self.group(main), slug=self.read_slug(row, main))

    def read_slug(self, row: RowReader, record: Record) -> str:
        slug = row.read_cell("url_key", self.fields["slug"], record.cells.get("url_key"))
        return slug if isinstance(slug, str) else ""

    def read_own(self, product: ProductRows, row: RowReader, record: Record) -> None:
        product.read_product(row, record, PRODUCT)
        if paths := [path for path in read_texts(record, ("categories",)).split(",") if path.strip()]:
            names = self.take_first(paths).strip().split("/")
            names = names[1:] if names[0] == ROOT and len(names) > 1 else names
            product.values["category"] = row.read_cell("categories", self.fields["category"], names)
        if online := read_texts(record, ("product_online",)):
            product.values["status"] = "active" if online == "1" else "draft"
        self.read_images(product, row, record)

    def read_images(self, product: ProductRows, row: RowReader, record: Record) -> None:
        label = read_texts(record, ("base_image_label",))
        product.add_images(row, "base_image", read_paths(record, "base_image"), **({"alt": label} if label else {}))
        product.add_images(row, "additional_images", read_paths(record, "additional_images"))

    def read_variation(self, product: ProductRows, record: Record, variations: dict[str, dict[str, str]]) -> None:
        row = product.open_row(record)
        sku = self.group(record)
        if sku not in variations:
            row.refuse("sku", "is already on an earlier line", "keep one of the two", repr(sku))
            return
        options = {name: product.read_option(row, name, value) for name, value in variations[sku].items()}
        product.add_variant(row, self.read_values(product, row, record), options)
        self.read_images(product, row, record)

    def read_values(self, product: ProductRows, row: RowReader, record: Record) -> dict[str, Any]:
        # Magento writes four decimal places: 34.0000 and 100.0000.
        cells = {name: drop_zeros(record.cells[name]) for name in VARIANT if name in record.cells}
        values = product.read(row, Record(record.line, cells), VARIANT)
        if not self.is_on_sale(row, record, DATES):
            values.pop("sale_price", None)
        return choose_price(values, "regular_price", "sale_price")


def drop_zeros(cell: Any) -> Any:
    return re.sub(r"\.0+$", "", cell.strip()) if isinstance(cell, str) else cell


def read_paths(record: Record, column: str) -> list[str]:
    """Pictures are paths in Magento's media folder, `/w/s/ws01.jpg`, or addresses."""
    return [part.strip() for part in read_texts(record, (column,)).split(",") if part.strip() not in ("", NO_IMAGE)]
