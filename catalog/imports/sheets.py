"""A workbook (.xlsx) in, records out. Memory holds one row of a sheet, and the workbook's texts.

A workbook stores each text once, in a list that its cells refer to, and a reader holds this list. So its size has a
limit.
"""

import datetime
import re
import warnings
from collections.abc import Iterable, Iterator
from functools import partial
from io import SEEK_END
from itertools import chain, islice
from typing import IO, Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

import openpyxl
from defusedxml.common import DefusedXmlException
from django.conf import settings
from openpyxl.cell.read_only import ReadOnlyCell
from openpyxl.utils.exceptions import InvalidFileException

from catalog.imports.errors import BadFile
from catalog.imports.records import Notes, Record
from catalog.imports.tables import FIRST_ROWS, SURE, IsKnown, check_header, find_header_row, tidy
from catalog.imports.unpacking import RATIO_FROM
from config.api.rendering.formulas import unguard_text

SHARED_TEXTS = "xl/sharedStrings.xml"
MOST_SHARED_BYTES = 100 * 1024 * 1024
# What else a reader holds in memory whole: names of sheets, styles.
MOST_OTHER_BYTES = 16 * 1024 * 1024
DAMAGED = (BadZipFile, KeyError, ValueError, TypeError, IndexError, AttributeError, ParseError, EOFError, OSError)
# A cell with a formula, and without its result. Its attributes, and its place among them. No attribute has a <, and
# blanks are never given back, so that what is no cell takes linear time, too.
UNCALCULATED = re.compile(rb"<c([^<>]*)>\s*+<f(?:[^<>]*/>|[^<>]*>[^<]*</f>)\s*+(?:<v>\s*+</v>|<v\s*+/>)?+\s*+</c>")
CELL_NAME = re.compile(rb'\br="([A-Z]+[0-9]+)"')
# How a workbook writes what XML may not have, and a _ before what looks like one (ECMA-376, ST_Xstring).
ESCAPED = re.compile("_x(00[01][0-9A-Fa-f]|005[Ff]|FFF[EF])_")
MERGED = re.compile(rb'<mergeCell ref="([A-Z]+[0-9]+:[A-Z]+[0-9]+)"')
# Numbers of rows beyond the greatest that a sheet may have. A reader counts up to them, row by row.
MOST_ROWS = 1_048_576
HIDDEN = re.compile(rb'<(?:row|col)\b[^<>]*?\bhidden="(?:1|true)"')
FAR_ROW = re.compile(rb'<row\b[^<>]*?\br="([0-9]{7,})"')
PIECE, MOST_CELL = 1024 * 1024, 64 * 1024
# Excel holds 15 digits of a number.
MOST_EXACT = 10**15


def open_xlsx(
    stream: IO[bytes], name: str, is_known: IsKnown, notes: Notes
) -> tuple[tuple[str, ...], Iterator[Record]]:
    check_sizes(stream, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that openpyxl leaves out
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        sheet, rows = find_sheet(book, is_known)
        merged = scan_sheet(stream, sheet, name, notes)
        first = list(islice(rows, FIRST_ROWS))
    except (*DAMAGED, DefusedXmlException, InvalidFileException) as error:
        raise BadFile(f"{name} is an Excel workbook that can't be read ({error}): save it again, or as CSV") from None
    if len(book.sheetnames) > 1:
        reason = f"the workbook has {len(book.sheetnames)} sheets; only the first with names of columns is read"
        notes.guess("sheet", sheet.title, reason)
    if not first:
        raise BadFile(f"{name} has no rows: give a row of column names, and the rows below it")
    _, above = find_header_row(read_first(first), is_known)
    if above:
        notes.guess("header", f"row {above + 1}", "the rows above have no names of columns, and aren't read")
    refuse_merged(merged, name, above + 1)
    header = read_header(first[above])
    check_header(header, name, is_known)
    return header, read_rows(chain(first[above + 1 :], rows), header, above + 2)


def check_sizes(stream: IO[bytes], name: str) -> None:
    """Unpacked sizes are limited before anything is unpacked; zipfile unpacks no more of a member than it announces."""
    total = 0
    for member in ZipFile(stream).infolist():
        total += member.file_size
        if member.filename == SHARED_TEXTS and member.file_size > MOST_SHARED_BYTES:
            raise BadFile(
                f"{name} has {member.file_size:,} bytes of different texts, more than a workbook may have"
                f" ({MOST_SHARED_BYTES:,}): save the sheet as CSV (UTF-8), which is read row by row"
            )
        is_sheet = member.filename.startswith(("xl/worksheets/", "xl/media/", SHARED_TEXTS))
        if not is_sheet and member.file_size > MOST_OTHER_BYTES:
            raise BadFile(f"{name}: its part {member.filename[:60]} is too large: save the sheet as CSV (UTF-8)")
    if total > (most := settings.IMPORT_MAX_UNPACKED_BYTES):
        raise BadFile(f"{name} unpacks to more than {most:,} bytes: send it in several files")
    ratio = settings.IMPORT_MAX_RATIO
    if total > RATIO_FROM and total > ratio * stream.seek(0, SEEK_END):
        raise BadFile(f"{name} unpacks to more than {ratio} times its size; no catalogue does: send it as CSV (UTF-8)")
    stream.seek(0)


def find_sheet(book: Any, is_known: IsKnown) -> tuple[Any, Iterator[Any]]:
    """The first visible sheet with known names of columns, else the first with a filled cell; and its rows."""
    visible = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
    filled = []
    for sheet in visible:
        sheet.reset_dimensions()  # a wrong size in the file would cut its rows
        sheet._get_row = partial(read_filled, sheet)
        rows = sheet.iter_rows(max_row=MOST_ROWS)
        first = list(islice(rows, FIRST_ROWS))
        if any(first):
            filled.append((sheet, chain(first, rows)))
            if find_header_row(read_first(first), is_known)[0] >= SURE:
                return filled[-1]
    return filled[0] if filled else (visible[0], iter(()))


def read_filled(sheet: Any, row: Iterable[Any], *_: Any) -> list[Any]:
    """The filled cells of a row. openpyxl makes one for each column up to the last: a billion, in a file of 17 kB."""
    return [ReadOnlyCell(sheet, **cell) for cell in row if cell["value"] is not None]


def read_first(rows: Iterable[Any]) -> Iterator[list[Any]]:
    return ([read_cell(cell) for cell in row] for row in rows)


def scan_sheet(stream: IO[bytes], sheet: Any, name: str, notes: Notes) -> list[bytes]:
    """The ranges of merged cells. Raises BadFile for a formula without a stored result: programs that don't calculate
    write such. Notes that rows are hidden, as by a filter.

    openpyxl reads such a cell as a blank one, and a blank cell would keep or clear a value in silence.
    """
    before, merged = b"", dict[bytes, None]()
    with ZipFile(stream) as book, book.open(sheet._worksheet_path) as source:
        while piece := source.read(PIECE):
            before += piece
            for found in UNCALCULATED.finditer(before):
                if b't="str"' not in found[1]:  # which Excel stores for the result ""
                    cell = CELL_NAME.search(found[1])
                    where = f" in the cell {cell[1].decode()}" if cell else ""
                    raise BadFile(
                        f"{name} has a formula without a result{where}: open it in a spreadsheet program and save it,"
                        " or send the table as CSV"
                    )
            refuse_far(FAR_ROW.findall(before), name)
            if HIDDEN.search(before):
                notes.guess(
                    "hidden", "read", "the sheet has hidden rows or columns, as by a filter; delete them if not"
                )
            merged |= dict.fromkeys(MERGED.findall(before))
            before = before[max(0, before.rfind(b"<c ")) :][-MOST_CELL:]
    return list(merged)


def refuse_far(numbers: Iterable[bytes], name: str) -> None:
    # Compared as texts: Python refuses to read a number of thousands of digits.
    for number in (each.lstrip(b"0") for each in numbers):
        if (len(number), number) > (7, b"%d" % MOST_ROWS):
            raise BadFile(
                f"{name} has a row {number[:20].decode()}, and a sheet ends at {MOST_ROWS:,}: save it again, or as CSV"
            )


def refuse_merged(merged: Iterable[bytes], name: str, header: int) -> None:
    """Raises BadFile for merged cells of several rows below the header: only the first row has their value."""
    for area in merged:
        first, last = (int(number) for number in re.findall(rb"\d+", area))
        if max(first, header) < last:
            raise BadFile(
                f"{name} has merged cells ({area.decode()}); only the first one has the value: unmerge them, and"
                " fill each cell"
            )


def read_rows(rows: Iterator[Any], header: tuple[str, ...], number: int) -> Iterator[Record]:
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except (*DAMAGED, DefusedXmlException) as error:
            yield Record(number, {}, f"can't be read ({error}), nor any after it; save the workbook again, or as CSV")
            return
        if row:
            yield make_record(number, header, row)
        number += 1


def make_record(number: int, header: tuple[str, ...], row: Any) -> Record:
    if wrong := next((cell for cell in row if cell.data_type == "e"), None):
        return Record(number, {}, f"has the error {wrong.value} in cell {wrong.coordinate}; correct its formula")
    within = [cell for cell in row if cell.column <= len(header)]
    cells = {column: read_cell(cell) for cell in within if (column := header[cell.column - 1])}
    if len(within) < len(row):
        return Record(number, cells, f"has cells beyond the header's {len(header)} columns; name their columns")
    return Record(number, dict.fromkeys(filter(None, header)) | cells)


def read_cell(cell: Any) -> Any:
    value = cell.value
    if isinstance(value, str):
        return unguard_text(ESCAPED.sub(lambda found: chr(int(found[1], 16)), value))
    # A whole number in the format 00000 is a code, which a person sees with its zeros.
    if type(value) is int and value >= 0 and not cell.number_format.strip("0"):
        return str(value).zfill(len(cell.number_format))
    return show_cell(value)


SHOWN = (int, bool, str, datetime.datetime, datetime.date, datetime.time)


def show_cell(value: Any) -> Any:
    """A cell as the JSON value that a person sees: whole numbers without a dot, and all but dates as texts."""
    if isinstance(value, float) and value.is_integer() and abs(value) < MOST_EXACT:
        return int(value)
    if isinstance(value, float):
        return round(value, 10)  # 12.1 + 0.2 is 12.299999999999999 in a workbook
    # A date stays one: where a code or a price is wanted, a spreadsheet has made it of `1-5`.
    return value if isinstance(value, SHOWN) or value is None else str(value)


def read_header(row: Iterable[Any]) -> tuple[str, ...]:
    """The columns' names; "" where the sheet has none."""
    names = {cell.column: name for cell in row if (name := tidy(str(read_cell(cell) or "")))}
    return tuple(names.get(column, "") for column in range(1, max(names, default=0) + 1))
