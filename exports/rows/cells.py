"""A read serializer and a selection in, the SQL of a CSV row's cells out: like projection.py, but without JSON.

A cell has the text that the API shows: decimals with all their places, times in UTC with `Z`, `true` and `false`. JSON
is text, null is an empty cell. The database puts an apostrophe before formulas (formulas.py).

Looking for formulas behind separators would double the time of each cell. So chunks.py looks for them in the bytes of a
chunk, and reads a chunk that has some again, with `CarefulCells`.
"""

from typing import Any

from config.api.reads.dialects import PostgreSQL
from config.api.reads.projection import Compiler, RowJson, quote_text
from config.api.reads.selections import ReadSerializer, Selection
from config.api.rendering.formulas import BLANKS, ESCAPES, FORMULA, HIDDEN, HIDING, UNGUARDED


class Cells(PostgreSQL):
    """The SQL of cells. Only texts can be formulas: `-5.00` in a column of numbers stays a number."""

    quote = ""
    hiding, formula = (", ".join(str(ord(sign)) for sign in signs) for signs in (HIDING, FORMULA))

    def text(self, column: str) -> str:
        # Letters of ASCII are never risky, so the other tests run for few cells. Three columns of a million rows take
        # 0.61 s, without a guard 0.56, by a regular expression 1.21 (PostgreSQL 15).
        begin, behind = (f"ascii(ltrim({column}, {quote_text(signs)}))" for signs in ("'", f"'{BLANKS}"))
        is_risky = f"{begin} IN ({self.hiding}) OR {behind} IN ({self.formula})"
        is_risky = f"ascii({column}) NOT BETWEEN 65 AND 127 AND ({is_risky})"
        return f"CASE WHEN {is_risky} THEN '''' || {column} ELSE {column} END"

    def decimal(self, column: str, places: int) -> str:
        return f"round({column}, {places})"

    def uuid(self, column: str) -> str:
        return self.bare_uuid(column)


class CarefulCells(Cells):
    """Cells that have no formula behind a separator either."""

    def text(self, column: str) -> str:
        return f"regexp_replace({column}, {quote_text(UNGUARDED)}, {quote_text("'")}, 'g')"

    def json(self, column: str) -> str:
        text = super().json(column)
        for sign, escape in ESCAPES.items():
            # A replacement has its backslashes doubled.
            text = f"regexp_replace({text}, {quote_text(f'[{sign}](?={HIDDEN})')}, {quote_text(f'\\{escape}')}, 'g')"
        return text


class RawCells(Cells):
    def text(self, column: str) -> str:
        return column


class CellCompiler(Compiler):
    quote = ""

    def write_constant(self, value: Any) -> str:
        return "NULL" if value is None else quote_text(str(value))

    def end_text(self, text: str) -> str:
        return text


def compile_cells(serializer: ReadSerializer, selection: Selection, origin: str, dialect: Cells) -> RowJson:
    """SQL of a row's cells, in the selection's order, for the SELECT of a COPY. URLs in cells begin with `origin`."""
    compiler = CellCompiler(dialect)
    table = compiler.begin(serializer)
    cells = [compiler.write_member(serializer, selection, name, table) for name in selection.names]
    return RowJson(", ".join(cells), compiler.columns, [f"{origin}{path}" for path in compiler.paths])
