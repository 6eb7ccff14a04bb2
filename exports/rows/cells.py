"""A read serializer and a selection in, the SQL of a CSV row's cells out: what projection.py writes, without the JSON.

A cell is the text that the API shows: amounts with their places, times in UTC with `Z`, `true` and `false`; JSON
columns are their JSON text, null is nothing. What a spreadsheet would run is guarded (formulas.py), in the database.
"""

from typing import Any

from config.api.reads.dialects import PostgreSQL
from config.api.reads.projection import Compiler, RowJson, quote_text
from config.api.reads.selections import ReadSerializer, Selection
from config.api.rendering.formulas import RISKY


class Cells(PostgreSQL):
    """Only a person's text can be risky: `-5.00` in a number's column is a number and stays one."""

    quote = ""
    risky = ", ".join(str(ord(sign)) for sign in RISKY)

    def text(self, column: str) -> str:
        # All of them, and the apostrophe, are below 65, and so the second comparison is for few cells: 0.61 s for
        # three columns of a million rows, 0.56 without any guard, 1.21 by a regular expression (PostgreSQL 15).
        is_risky = f"ascii({column}) < 65 AND ascii(ltrim({column}, '''')) IN ({self.risky})"
        return f"CASE WHEN {is_risky} THEN '''' || {column} ELSE {column} END"

    def decimal(self, column: str, places: int) -> str:
        return f"round({column}, {places})"

    def uuid(self, column: str) -> str:
        return self.bare_uuid(column)


class RawCells(Cells):
    def text(self, column: str) -> str:
        return column


class CellCompiler(Compiler):
    def write_constant(self, value: Any) -> str:
        return "NULL" if value is None else quote_text(str(value))

    def end_text(self, text: str) -> str:
        return text


def compile_cells(serializer: ReadSerializer, selection: Selection, origin: str, raw: bool) -> RowJson:
    """The cells of a row, in the selection's order, for the select list of a COPY; addresses begin with `origin`."""
    compiler = CellCompiler(RawCells() if raw else Cells())
    table = compiler.begin(serializer)
    cells = [compiler.write_member(serializer, selection, name, table) for name in selection.names]
    return RowJson(", ".join(cells), compiler.columns, [f"{origin}{path}" for path in compiler.paths])
