"""Shopify's products.json: a product in one object, with lists of variants, options and images."""

from collections.abc import Iterable, Sequence
from typing import Any

from catalog.imports.formats.rows import RowReader
from catalog.imports.formats.shop import ProductRows, ShopFormat
from catalog.imports.records import Record
from catalog.imports.values import is_blank
from catalog.writes.drafts import ProductDraft

PRODUCT = {
    "title": "title",
    "body_html": "description",
    "vendor": "brand",
    "product_type": "category",
    "tags": "tags",
    "status": "status",
}
VARIANT = {
    "sku": "sku",
    "barcode": "barcode",
    "price": "price",
    "compare_at_price": "compare_at_price",
    "grams": "weight",
    "inventory_quantity": "stock",
}
LISTS = ("variants", "images", "options")


class ShopifyJson(ShopFormat):
    name = "shopify"
    label = "Shopify's products.json"
    fields_of = PRODUCT | VARIANT
    key_name = "handle"
    unit = "g"
    known = frozenset({*PRODUCT, *LISTS, "handle", "published_at"})

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        is_json = kind in ("json", "ndjson")
        return is_json and columns >= {"handle", "title", "variants"} and bool(columns & {"body_html", "product_type"})

    def list_read(self) -> Iterable[str]:
        return self.known

    def group(self, record: Record) -> str:
        return str(record.cells.get("handle") or "").strip()

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft:
        (record,) = records
        product.require_key(record, "handle", "give each product its handle")
        row = product.open_row(record)
        product.read_product(row, record, PRODUCT)
        if "status" not in product.values and "published_at" in record.cells:
            product.values["status"] = "draft" if is_blank(record.cells["published_at"]) else "active"
        names = [part.get("name") for part in list_objects(row, record, "options")]
        product.option_names = {n: product.read_option(row, "options.name", name) for n, name in enumerate(names, 1)}
        for number, cells in enumerate(list_objects(row, record, "variants"), 1):
            self.read_variant(product, record, cells, f"variants[{number}].")
        for image in list_objects(row, record, "images"):
            members = product.read(row, Record(record.line, image), {"alt": "alt", "position": "position"})
            product.add_images(row, "images.src", [image.get("src")], **members)
        return product.draft(handle=product.name)

    def read_variant(self, product: ProductRows, record: Record, cells: dict[str, Any], prefix: str) -> None:
        row = product.open_row(Record(record.line, {}))
        named = Record(record.line, {f"{prefix}{name}": cell for name, cell in cells.items()})
        values = product.read(row, named, {f"{prefix}{column}": name for column, name in VARIANT.items()})
        chosen = {number: cells.get(f"option{number}") for number in (1, 2, 3)}
        options = {
            n: value for n, cell in chosen.items() if (value := product.read_option(row, f"{prefix}option", cell))
        }
        product.add_variant(row, values, options)


def list_objects(row: RowReader, record: Record, name: str) -> list[dict[str, Any]]:
    """The objects in a list. Whatever else it holds is an error of the row."""
    value = record.cells.get(name) or []
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        row.refuse(name, "is not a list of objects", "send Shopify's products.json as it comes")
        return []
    return value
