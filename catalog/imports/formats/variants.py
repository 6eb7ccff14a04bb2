"""Our own export of variants, also with `expand=stock`: `id,product,sku,barcode,options,price,weight,position,…`.

It doesn't have the SKU of the product, only an id that is another one in another database. So it changes variants that
exist, and makes none.
"""

from collections.abc import Sequence

from catalog.imports.errors import Line
from catalog.imports.formats.plain import VARIANT_FIELDS, Plain
from catalog.imports.formats.rows import RowReader, name_key, pick
from catalog.imports.records import Record
from catalog.imports.values import is_blank, parse_json
from catalog.writes.drafts import ProductDraft, VariantDraft


class OwnVariants(Plain):
    label = "our own export of variants"
    names_products = False
    known = frozenset({"product", "sku", "barcode", "options", "price", "weight", "position", "stock"})

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        return columns >= {"product", "sku", "options", "position"} and "title" not in columns

    def find_field(self, column: str) -> str:
        return column

    def list_read(self) -> Sequence[str]:
        return ("sku", "stock", "position", *VARIANT_FIELDS)

    def draft(self, records: Sequence[Record]) -> ProductDraft:
        (record,) = records
        row = RowReader(record, name_key(record.cells.get("sku")))
        if is_blank(record.cells.get("sku")):
            row.read_value("sku", self.fields["sku"], "")
        values = row.read_row(record.cells, self.variant_fields)
        pieces = self.read_pieces(row, "stock", parse_json(record.cells.get("stock")))
        row.finish()
        fields = pick(values, (*VARIANT_FIELDS, "position"))
        variant = VariantDraft(Line(record.line), fields, sku=values["sku"], pieces=pieces)
        return ProductDraft(row.place, variants=(variant,))
