"""Matrixify's sheet of products: Shopify's columns, with a Command for each product and several pictures in a cell."""

import re
from collections.abc import Sequence
from typing import Any

from catalog.imports.formats.rows import RowReader, pick
from catalog.imports.formats.shop import ProductRows, read_texts
from catalog.imports.formats.shopify import PRODUCT, VARIANT, Shopify
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.values import Blank, is_blank
from catalog.writes.drafts import Command, ProductDraft

COMMANDS = {
    "": Command.NONE,
    "MERGE": Command.NONE,
    "NEW": Command.CREATE,
    "UPDATE": Command.UPDATE,
    "DELETE": Command.DELETE,
    "IGNORE": None,
}
OWN_PRODUCT = {"Body HTML": "description", "Category": "category", **PRODUCT, "Custom Collections": "category"}
IMAGE_TYPE = "Image Type"
WEIGHT, UNIT = "Variant Weight", "Variant Weight Unit"
INVENTORY = re.compile(r"Inventory Available: (.+)")


class Matrixify(Shopify):
    name = "matrixify"
    label = "Matrixify's sheet of products"
    fields_of = OWN_PRODUCT | VARIANT
    known = Shopify.known | {
        *OWN_PRODUCT,
        WEIGHT,
        UNIT,
        IMAGE_TYPE,
        "Command",
        "Variant Command",
        "Image Command",
        "ID",
    }
    product_columns = OWN_PRODUCT

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        # Matrixify has grams in one column, and a weight with its unit in two others.
        self.fields |= {"grams": self.fields["weight"]} | self.make_weight("")
        self.locations = {column: found[1] for column in source.columns if (found := INVENTORY.fullmatch(column))}

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        return "Handle" in columns and bool(columns & {"Command", "Body HTML", "Variant Command", WEIGHT})

    def list_read(self) -> Sequence[str]:
        return (*(self.known - {"Image Command", "ID"}), *self.locations)

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft | None:
        command = self.read_command(product, records)
        if command is None:
            return None
        if command is Command.DELETE:
            product.open_row(records[0])
            return product.draft_deletion(handle=product.name)
        product.command = command
        return super().read_product(product, records)

    def read_command(self, product: ProductRows, records: Sequence[Record]) -> Command | None:
        """The product's command; None for IGNORE. Raises BadRow for one that isn't taken."""
        for column, taken in (("Command", COMMANDS), ("Variant Command", ("", "MERGE", "UPDATE", "IGNORE"))):
            for record in records:
                word = read_texts(record, (column,)).upper()
                if word not in taken:
                    rule = f"is not one of {', '.join(filter(None, taken))}"
                    product.open_row(record).refuse(column, rule, "give one of these, or remove the rows", repr(word))
        self.refuse_others(product, records)
        product.finish()
        words = [word for record in records if (word := read_texts(record, ("Command",)).upper())]
        return COMMANDS[words[0] if words else ""]

    def refuse_others(self, product: ProductRows, records: Sequence[Record]) -> None:
        """Refuse a row with another command than the first that its product has."""
        told = [(record, word) for record in records if (word := read_texts(record, ("Command",)).upper())]
        for record, word in told:
            if word != told[0][1]:
                rule = f"is another command than {told[0][1]} on line {told[0][0].line}"
                product.open_row(record).refuse("Command", rule, "give all rows of a product the same", repr(word))

    def read_images(self, product: ProductRows, row: RowReader, record: Record) -> None:
        """Only of pictures: a product has no films and models here."""
        kind = read_texts(record, (IMAGE_TYPE,)).upper()
        if kind in ("", "IMAGE"):
            super().read_images(product, row, record)
        else:
            self.source.notes.guess("images", "IMAGE", f"a product has pictures alone, so {kind} isn't read", kind[:60])

    def read_variant(self, product: ProductRows, row: RowReader, record: Record) -> None:
        if read_texts(record, ("Variant Command",)).upper() != "IGNORE":
            super().read_variant(product, row, record)

    def read_variant_values(self, product: ProductRows, row: RowReader, record: Record) -> dict[str, Any]:
        values = product.read(row, record, {**VARIANT, "Variant Grams": "grams"})
        if "grams" in values:
            return values | {"weight": values["grams"]}
        weight, unit = record.cells.get(WEIGHT), read_texts(record, (UNIT,))
        if not is_blank(weight):
            beside = Record(record.line, {WEIGHT: f"{weight} {unit}".strip()})
            values |= pick(product.read(row, beside, {WEIGHT: "weight"}), ("weight",))
        return values

    def read_pieces(self, product: ProductRows, row: RowReader, record: Record) -> dict[str, int] | None:
        pieces = {}
        for column, name in self.locations.items():
            count = row.read_cell(column, self.fields["stock"], record.cells.get(column))
            location = row.read_cell(column, self.fields["location"], name)
            if Blank.KEEPS not in (count, location):
                pieces[location] = count
        return pieces or None
