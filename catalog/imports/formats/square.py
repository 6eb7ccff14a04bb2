"""Square's library of items. Rows with one Reference Handle, else with one Item Name, are variations of one product."""

import re
from collections.abc import Sequence

from catalog.imports.formats.rows import RowReader
from catalog.imports.formats.shop import ProductRows, ShopFormat, choose_price, find_cell, read_texts
from catalog.imports.numbers import Cell, find_unit
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.values import Blank, Field, is_blank
from catalog.querysets import MAIN
from catalog.writes.drafts import ProductDraft
from catalog.writes.values import BadValue

PRODUCT = {
    "Item Name": "title",
    "Description": "description",
    "SEO Title": "seo_title",
    "SEO Description": "seo_description",
}
VARIANT = {"SKU": "sku", "GTIN": "barcode", "Price": "regular_price", "Online Sale Price": "sale_price"}
VISIBILITY = "Square Online Item Visibility"
CATEGORIES = ("Categories", "Reporting Category", "Category")
OPTION = re.compile(r"Option Name (\d+)")
# A filled `New Quantity` comes before what is there now.
QUANTITIES = (re.compile(r"New Quantity (.+)"), re.compile(r"Current Quantity (.+)"))
# Square's name for the variation of an item that has no others.
ONLY = "Regular"
# Behind a category's name Square writes its token.
TOKEN = re.compile(r"\s*\(#[^)]*\)")


class Square(ShopFormat):
    name = "square"
    label = "Square's library of items"
    fields_of = PRODUCT | VARIANT
    key_name = "handle"
    is_grouped = True
    known = frozenset({*PRODUCT, *VARIANT, *CATEGORIES, "Reference Handle", "Variation Name", "Archived", VISIBILITY})

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        self.weight = next((column for column in source.columns if column.startswith("Weight")), "")
        price = self.fields["price"]
        self.fields |= self.make_weight(find_unit(self.weight)) | {
            "regular_price": Field(lambda cell: price.read(refuse_variable(cell))),
            "sale_price": price,
        }
        self.options_of = [
            (one[0], f"Option Value {one[1]}", one[0]) for one in filter(None, map(OPTION.fullmatch, source.columns))
        ]
        self.quantities = [
            (column, found[1])
            for pattern in QUANTITIES
            for column in source.columns
            if (found := pattern.fullmatch(column))
        ]

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        return columns >= {"Item Name", "Variation Name"} and bool(columns & {"Token", "Reference Handle", "SKU"})

    def list_read(self) -> Sequence[str]:
        options = [column for name, value, _ in self.options_of for column in (name, value)]
        return (*self.known, self.weight, *options, *(column for column, _ in self.quantities))

    def group(self, record: Record) -> str:
        return read_texts(record, ("Reference Handle", "Item Name")).removeprefix("#")

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft:
        product.require_key(records[0], "Item Name", "give each row the name of its item")
        for record in records:
            row = product.open_row(record)
            product.read_product(row, record, PRODUCT)
            self.read_category(product, row, record)
            self.read_status(product, record)
            columns = VARIANT | ({self.weight: "weight"} if self.weight else {})
            values = choose_price(product.read(row, record, columns), "regular_price", "sale_price")
            product.add_variant(row, values, self.read_options(product, row, record), self.read_pieces(row, record))
        return product.draft(handle=product.name)

    def read_status(self, product: ProductRows, record: Record) -> None:
        if read_texts(record, ("Archived",)).upper() in ("Y", "YES", "TRUE"):
            product.values["status"] = "archived"
        elif read_texts(record, (VISIBILITY,)).lower() in ("hidden", "unavailable"):
            product.values.setdefault("status", "draft")
            self.source.notes.guess("status", "draft", "what Square Online doesn't show becomes a draft")

    def read_category(self, product: ProductRows, row: RowReader, record: Record) -> None:
        cell = find_cell(record, *CATEGORIES)
        if cell is None or "category" in product.values:
            return
        paths = [path.strip() for path in TOKEN.sub("", str(cell)).split(",")]
        product.values["category"] = row.read_cell(CATEGORIES[0], self.fields["category"], self.take_first(paths))

    def read_options(self, product: ProductRows, row: RowReader, record: Record) -> dict[str, str]:
        options = product.read_options(row, record, self.options_of)
        name = product.read_option(row, "Variation Name", record.cells.get("Variation Name"))
        return options or ({"Variation": name} if name and name != ONLY else {})

    def read_pieces(self, row: RowReader, record: Record) -> dict[str, int]:
        """By location. With a single one, its pieces are at `main`, from which orders take."""
        pieces: dict[str, int] = {}
        places = {name for _, name in self.quantities}
        for column, name in self.quantities:
            location = MAIN if len(places) == 1 else row.read_cell(column, self.fields["location"], name)
            if not is_blank(record.cells.get(column)) and location not in pieces:
                count = row.read_cell(column, self.fields["stock"], record.cells[column])
                if Blank.KEEPS not in (count, location):
                    pieces[location] = count
        return pieces


def refuse_variable(cell: Cell) -> Cell:
    if str(cell).strip().lower() == "variable":
        raise BadValue("invalid", "is entered at each sale", "give a price, or leave the row out")
    return cell
