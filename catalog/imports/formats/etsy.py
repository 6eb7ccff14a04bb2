"""Etsy's download of a shop's listings: one row a listing, with all its variations in one row."""

import re
from collections.abc import Sequence
from html import unescape
from itertools import product as combine

from catalog.imports.formats.rows import RowReader
from catalog.imports.formats.shop import ProductRows, ShopFormat, read_texts
from catalog.imports.records import Record
from catalog.imports.values import is_blank
from catalog.querysets import MAIN
from catalog.writes.drafts import ProductDraft

PRODUCT = {"TITLE": "title", "DESCRIPTION": "description"}
TEXTS = ("TITLE", "DESCRIPTION", "TAGS", "MATERIALS", *(f"VARIATION {number} VALUES" for number in (1, 2)))
VARIANT = {"PRICE": "price"}
IMAGES = tuple(f"IMAGE{number}" for number in range(1, 21))
VARIATIONS = tuple(
    (f"VARIATION {number} TYPE", f"VARIATION {number} NAME", f"VARIATION {number} VALUES") for number in (1, 2)
)


class Etsy(ShopFormat):
    name = "etsy"
    label = "Etsy's listings"
    fields_of = PRODUCT | VARIANT
    known = frozenset(
        {*PRODUCT, *VARIANT, *IMAGES, "CURRENCY_CODE", "QUANTITY", "TAGS", "MATERIALS", "SKU"}
        | {column for columns in VARIATIONS for column in columns}
    )

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        return columns >= {"TITLE", "PRICE", "QUANTITY"} and bool(columns & {"CURRENCY_CODE", "IMAGE1", "MATERIALS"})

    def group(self, record: Record) -> str:
        return read_texts(record, ("SKU", "TITLE"))

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft:
        (record,) = (unescape_texts(one) for one in records)
        row = product.open_row(record)
        product.read_product(row, record, PRODUCT)
        row.read_cell("CURRENCY_CODE", self.fields["currency"], record.cells.get("CURRENCY_CODE"))
        tags = read_texts(record, ("TAGS",)).replace("_", " ")
        if "TAGS" in record.cells:
            product.values["tags"] = row.read_cell("TAGS", self.fields["tags"], tags)
        if materials := [part.replace("_", " ") for part in split_list(read_texts(record, ("MATERIALS",)))]:
            product.attributes["materials"] = materials
        for column in IMAGES:
            product.add_images(row, column, record.cells.get(column))
        skus = split_list(read_texts(record, ("SKU",)))
        self.read_variants(product, row, record, skus)
        if len(product.variants) == 1 and len(skus) == 1:
            return product.draft(sku=skus[0])
        return product.draft(handle=read_texts(record, ("TITLE",)))

    def read_variants(self, product: ProductRows, row: RowReader, record: Record, skus: list[str]) -> None:
        values = product.read(row, record, VARIANT)
        variations = [self.read_variation(product, row, record, columns) for columns in VARIATIONS]
        chosen = list(combine(*(variation for variation in variations if variation)))
        for number, pairs in enumerate(chosen):
            # Which SKU belongs to which variation is only clear if each has one, in their order.
            sku = skus[number] if len(skus) == len(chosen) else ""
            own = values | ({"sku": row.read_cell("SKU", self.fields["sku"], sku)} if sku else {})
            product.add_variant(row, own, dict(pairs), self.read_pieces(product, row, record, len(chosen)))

    def read_variation(
        self, product: ProductRows, row: RowReader, record: Record, columns: tuple[str, str, str]
    ) -> list[tuple[str, str]]:
        kind, name, values = columns
        title = product.read_option(row, name, record.cells.get(name)) or read_texts(record, (kind,)).title()
        texts = [product.read_option(row, values, value) for value in split_list(read_texts(record, (values,)))]
        return [(title or values, text) for text in dict.fromkeys(texts) if text]

    def read_pieces(self, product: ProductRows, row: RowReader, record: Record, variants: int) -> dict[str, int]:
        """Etsy's quantity is of all variations together, so only a single variant's is known."""
        if is_blank(record.cells.get("QUANTITY")):
            return {}
        if variants > 1:
            reason = "the file has only the sum of all variations, so their pieces stay as they are"
            self.source.notes.guess("stock", "none", reason)
            return {}
        values = product.read(row, record, {"QUANTITY": "stock"})
        return {MAIN: values["stock"]} if "stock" in values else {}


def unescape_texts(record: Record) -> Record:
    """Etsy writes texts as for a web page: `Mum&#39;s mug`."""
    texts = {name: unescape(cell) for name in TEXTS if isinstance(cell := record.cells.get(name), str)}
    return Record(record.line, record.cells | texts, record.fault)


def split_list(text: str) -> list[str]:
    return [part.strip() for part in re.split(r",", text) if part.strip()]
