"""Our own export of variants, also with `expand=stock`: `id,product,sku,barcode,options,price,weight,position,…`.

A variant that exists is found by its SKU. A new one goes to the product of `product_sku`: the id in `product` is of
another row in another database. No row makes a product.
"""

from collections.abc import Sequence

from catalog.imports.errors import Line
from catalog.imports.formats.plain import VARIANT_FIELDS, Plain
from catalog.imports.formats.rows import RowReader, name_key, pick
from catalog.imports.records import Record
from catalog.imports.values import Blank, is_blank, parse_json
from catalog.writes.drafts import ProductDraft, VariantDraft

OWNER = "product_sku"


class OwnVariants(Plain):
    label = "our own export of variants"
    names_products = False
    known = frozenset({"product", OWNER, "sku", "barcode", "options", "price", "weight", "position", "stock"})

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        is_exported = columns >= {"product", "sku", "options", "position"} or columns >= {OWNER, "sku"}
        return is_exported and "title" not in columns

    def find_field(self, column: str) -> str:
        return column

    def list_read(self) -> Sequence[str]:
        return ("sku", OWNER, "stock", "position", *VARIANT_FIELDS)

    def draft(self, records: Sequence[Record]) -> ProductDraft:
        (record,) = records
        row = RowReader(record, name_key(record.cells.get("sku")))
        if is_blank(record.cells.get("sku")):
            row.read_value("sku", self.fields["sku"], "")
        values = row.read_row(record.cells, self.variant_fields)
        owner = row.read_cell(OWNER, self.fields["sku"], record.cells.get(OWNER))
        pieces = self.read_pieces(row, "stock", parse_json(record.cells.get("stock")))
        row.finish()
        fields = pick(values, (*VARIANT_FIELDS, "position"))
        variant = VariantDraft(Line(record.line), fields, sku=values["sku"], pieces=pieces)
        return ProductDraft(row.place, owner_sku="" if owner is Blank.KEEPS else owner, variants=(variant,))
