"""Rows as JSON in, a workbook with one sheet out, in constant memory.

Texts are written as text cells, so a spreadsheet never runs them as formulas.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import orjson
import xlsxwriter

from config.api.jobs.models import JobFailure
from config.api.rendering.formulas import guard_json, guard_text, unguard_text
from config.api.rendering.renderers import write_json
from exports.jobs.formats import XLSX_LETTERS
from exports.jobs.publishing import HashedFile
from exports.rows.chunks import Query

# Excel's numbers are doubles, which are exact up to so many digits. A longer number is written as text.
EXACT_DIGITS = 15
CONSTANT_MEMORY = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}


class CellTooLong(JobFailure):
    """A text is too long for a cell of Excel."""

    def __init__(self, name: str, number: int) -> None:
        detail = f"{name} in row {number} has more than {XLSX_LETTERS} characters, too many for an XLSX cell."
        super().__init__(f"{detail} Leave the column out by `fields`, or use csv, ndjson or parquet.")


def write_xlsx(rows: Iterator[Sequence[bytes]], query: Query, file: HashedFile) -> None:
    names = query.selection.names
    numbers = {column.name for column in query.columns if column.kind == "decimal"}
    # Writing a zip goes back to its earlier entries, so it is built in a temporary file.
    with tempfile.TemporaryFile() as built:
        with xlsxwriter.Workbook(built, CONSTANT_MEMORY) as book:
            sheet = book.add_worksheet()
            sheet.write_row(0, 0, names)
            for number, line in enumerate((line for lines in rows for line in lines), start=1):
                write_row(sheet, number, orjson.loads(line), numbers)
        built.seek(0)
        shutil.copyfileobj(built, file)


def write_row(sheet: Any, number: int, row: dict[str, Any], numbers: set[str]) -> None:
    for column, (name, value) in enumerate(row.items()):
        write_cell(sheet, number, column, name, Decimal(value) if name in numbers and value is not None else value)


def write_cell(sheet: Any, number: int, column: int, name: str, value: Any) -> None:
    match value:
        case None:
            return
        case bool():
            sheet.write_boolean(number, column, value)
        case int() | Decimal() if len(Decimal(value).as_tuple().digits) <= EXACT_DIGITS:
            sheet.write_number(number, column, value)
        case _:
            text = write_text(value)
            # Negative if the text doesn't fit.
            if sheet.write_string(number, column, text) < 0:
                raise CellTooLong(name, number)


def write_text(value: Any) -> str:
    """A text cell. It is guarded only if an import, which takes guards away, would change it."""
    is_json = isinstance(value, dict | list)
    text = write_json(value).decode() if is_json else str(value)
    if unguard_text(text) == text:
        return text
    return guard_json(text) if is_json else guard_text(text)
