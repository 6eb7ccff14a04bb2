"""Pieces by location: our own export of stock, and Shopify's inventory file. A row sets one variant at one location."""

import re
from collections.abc import Sequence

from catalog.imports.formats.rows import RowReader, name_key
from catalog.imports.formats.shop import ShopFormat, find_cell
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.values import Blank, is_blank
from catalog.querysets import MAIN
from catalog.writes.drafts import ProductDraft, VariantDraft


class OwnStock(ShopFormat):
    """`id,variant,sku,location,on_hand,reserved`, as exports/stock.csv has it. `reserved` belongs to orders.

    SKUs and numbers alone are a count of the main location.
    """

    name = "csv"
    label = "our own export of stock"
    is_grouped = True
    names_products = False
    fields_of = {"on_hand": "stock", "On hand (new)": "stock", "On hand (current)": "stock", "Available": "stock"}
    known = frozenset({"sku", "location", "on_hand", "variant", "reserved"})
    counts: tuple[str, ...] = ("on_hand",)
    skus: tuple[str, ...] = ("sku",)
    locations: tuple[str, ...] = ("location",)

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        is_whole = columns >= {"sku", "location", "on_hand"} and not columns & {"title", "price"}
        return is_whole or {"sku", "on_hand"} <= columns <= cls.known

    def list_read(self) -> Sequence[str]:
        return (*self.skus, *self.locations, *self.counts)

    def group(self, record: Record) -> str:
        return str(find_cell(record, *self.skus) or "").strip()

    def draft(self, records: Sequence[Record]) -> ProductDraft | None:
        rows = [RowReader(record, name_key(self.group(records[0]))) for record in records]
        sku = rows[0].read_value(self.skus[0], self.fields["sku"], find_cell(records[0], *self.skus) or "")
        pieces: dict[str, int] = {}
        for row, record in zip(rows, records, strict=True):
            self.read_pieces(row, record, pieces)
        refusals = [refusal for row in rows for refusal in row.refusals]
        rows[0].refusals = refusals
        rows[0].finish()
        return ProductDraft(rows[0].place, variants=(VariantDraft(rows[0].place, sku=sku, pieces=pieces),))

    def read_pieces(self, row: RowReader, record: Record, pieces: dict[str, int]) -> None:
        location = row.read_cell(self.locations[0], self.fields["location"], find_cell(record, *self.locations))
        column = next((name for name in self.counts if not is_blank(record.cells.get(name))), self.counts[0])
        count = row.read_cell(column, self.fields["stock"], record.cells.get(column))
        location = MAIN if location is Blank.KEEPS else location
        if location in pieces:
            row.refuse(self.locations[0], f"{location!r} is already on an earlier line", "keep one of the two")
        elif count is not Blank.KEEPS:
            pieces[location] = count


# Shopify's older inventory file, which has a column for each location behind these.
WIDE = frozenset({"Handle", "SKU", "HS Code", "COO"})
OTHERS = re.compile(r"Title|Option\d (?:Name|Value)")


class ShopifyInventory(OwnStock):
    """Shopify's inventory export. A filled `On hand (new)` comes before the current count."""

    name = "shopify"
    label = "Shopify's inventory file"
    known = frozenset({"Handle", "SKU", "Location", "On hand (new)", "On hand (current)", "On hand", "Available"})
    counts = ("On hand (new)", "On hand (current)", "On hand", "Available")
    skus = ("SKU",)
    locations = ("Location",)

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        is_wide = columns >= WIDE and not columns & {"Location", "Price", "Variant Price"}
        return is_wide or (columns >= {"SKU", "Location"} and bool(columns & set(cls.counts)))

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        has_location = "Location" in source.columns
        self.wide = [name for name in source.columns if not (has_location or name in WIDE or OTHERS.fullmatch(name))]

    def list_read(self) -> Sequence[str]:
        return (*super().list_read(), *self.wide)

    def read_pieces(self, row: RowReader, record: Record, pieces: dict[str, int]) -> None:
        if self.wide:
            for name in self.wide:
                cells = {self.locations[0]: name, self.counts[0]: record.cells.get(name)}
                self.read_place(row, Record(record.line, cells), pieces)
        else:
            self.read_place(row, record, pieces)

    def read_place(self, row: RowReader, record: Record, pieces: dict[str, int]) -> None:
        column = next((name for name in self.counts if not is_blank(record.cells.get(name))), None)
        # Shopify writes this for a variant that the location doesn't sell.
        if column and str(record.cells[column]).strip().lower() != "not stocked":
            super().read_pieces(row, record, pieces)
