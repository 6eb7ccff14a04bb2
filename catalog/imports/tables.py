"""Rows of cells in, records out: of a CSV with any separator, or of a sheet. Finds the header, also below a title.

An error in one row becomes that record's fault, and reading continues. An error of the whole file raises BadFile before
the first record.
"""

import csv
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from catalog.imports.errors import BadFile
from catalog.imports.lines import Lines, LineTooLong
from catalog.imports.records import Notes, Record
from config.api.rendering.formulas import unguard_text

# The most columns of a file. The widest files of shop systems have about 200.
MOST_COLUMNS = 1_000
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "|"}
# Excel reads the separator from such a first line.
SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?\s*', re.IGNORECASE)
# The first rows among which a header may stand: above it are titles, dates and blank rows.
FIRST_ROWS = 12
BLANKS = string.whitespace + "\x1a"
# In a row of so many known names, none is there by chance.
SURE = 2
# Signs that some programs take for quotes.
QUOTES = "'\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb`"
# Characters that can't be seen, as web pages and programs leave them in texts.
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
# Signs that end a line for some programs, but not in a CSV.
ODD_ENDS = re.compile("[\v\f\x1c-\x1e\u0085\u2028\u2029]")
# How a CSV keeps the zeros of a code in a spreadsheet: ="00123".
TEXT_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
NUMBER_CELL = re.compile(r"[+-]?\d[\d.,]*")

# Tells whether a cell is the name of a column that some format knows.
type IsKnown = Callable[[str], bool]


def open_csv(lines: Lines, name: str, is_known: IsKnown, notes: Notes) -> tuple[tuple[str, ...], Iterator[Record]]:
    first = lines.peek()
    separator = find_separator_line(first)
    if separator:
        lines.skip(1)
        first = first[1:]
    separator, row = find_header(first, separator, is_known)
    if len([sign for sign in SEPARATORS if sign in "".join(first[:1])]) > 1:
        sign = SEPARATORS.get(separator, separator)
        notes.guess("separator", sign, "the header has several signs that may separate cells")
    skip_rows(lines, first, separator, row)
    if row:
        notes.guess("header", f"line {lines.number + 1}", "the lines above have no names of columns, and aren't read")
    reader = csv.reader(lines, delimiter=separator, strict=True)
    header = read_header(reader, name, is_known)
    return header, read_csv(reader, lines, header)


def find_separator_line(first: Sequence[str]) -> str:
    found = SEPARATOR_LINE.fullmatch(first[0]) if first else None
    return found[1] if found else ""


def find_header(first: Sequence[str], separator: str, is_known: IsKnown) -> tuple[str, int]:
    """The separator, and the number of rows above the header: whichever gives the most known names of columns."""
    best, found = 0, (separator or max(SEPARATORS, key=first[0].count if first else "".count), 0)
    for sign in [separator] if separator else SEPARATORS:
        number, row = find_header_row(split_rows(first, sign), is_known)
        if number > best:
            best, found = number, (sign, row)
    return found


def find_header_row(rows: Iterable[Sequence[Any]], is_known: IsKnown) -> tuple[int, int]:
    """The number of known names in the header, and the number of rows above it."""
    counts = [len({cell for cell in row if isinstance(cell, str) and is_known(cell)}) for row in rows]
    if not counts:
        return 0, 0
    if counts[0] >= SURE:
        return counts[0], 0
    best = max(counts)
    return (best, counts.index(best)) if best >= SURE else (counts[0], 0)


def split_rows(first: Sequence[str], separator: str) -> Iterator[list[str]]:
    """The first rows, as far as they can be read. A header of too many columns isn't looked at cell by cell."""
    reader = csv.reader(first, delimiter=separator)
    try:
        for row in islice(reader, FIRST_ROWS):
            yield row[:MOST_COLUMNS]
    except csv.Error:
        return


def skip_rows(lines: Lines, first: Sequence[str], separator: str, rows: int) -> None:
    reader = csv.reader(first, delimiter=separator)
    for _ in islice(reader, rows):
        pass
    lines.skip(reader.line_num)


def read_header(reader: Iterator[list[str]], name: str, is_known: IsKnown) -> tuple[str, ...]:
    try:
        row = next(reader)
        header = tuple(unguard_text(tidy(cell)) for cell in row)
        "".join(header).encode()
    except StopIteration:
        raise BadFile(f"{name} has no rows: give a line of column names, and the rows below it") from None
    except (csv.Error, LineTooLong) as error:
        raise BadFile(f"{name}: its first line can't be read as column names ({error}): is it a CSV file?") from None
    except UnicodeEncodeError:
        raise BadFile(f"{name}: its column names aren't UTF-8: save the file as UTF-8") from None
    refuse_odd_ends(row, name)
    refuse_joined(header, name, is_known)
    check_header(header, name, is_known)
    return header


def tidy(name: str) -> str:
    """A column's name with single blanks, whatever they were (NBSP, a line break), and without unseen characters."""
    return " ".join(UNSEEN.sub("", name).split())


def refuse_odd_ends(row: Sequence[str], name: str) -> None:
    """Raises BadFile for a header that goes on with the rows, since its program ends lines by another sign."""
    if sign := next(filter(None, map(ODD_ENDS.search, row)), None):
        raise BadFile(
            f"{name}: its column names hold U+{ord(sign[0]):04X}, where some programs end a line: end each line with LF"
            " or CRLF, and remove this sign from names"
        )


def refuse_joined(header: tuple[str, ...], name: str, is_known: IsKnown) -> None:
    """Raises BadFile for a header whose names are between other signs than a CSV has."""
    if any(map(is_known, header)):
        return
    if sum(is_known(cell.strip(QUOTES)) for cell in header) >= SURE:
        raise BadFile(f"{name}: its columns' names stand in quotes of another kind than \": use that sign, or none")
    words = [word for word in re.split(r"[^\w]+", header[0]) if word]
    if len(header) == 1 and sum(map(is_known, words)) >= SURE:
        between = header[0].removeprefix(words[0])[:1]
        raise BadFile(
            f"{name}: its first line is a single cell, {header[0][:60]!r}: separate the columns by one of , ; TAB |, or"
            f" put a line sep={between} above them, and don't quote a line as a whole"
        )


def check_header(header: tuple[str, ...], name: str, is_known: IsKnown) -> None:
    refuse_wide(header, name)
    data = next((cell for cell in header if NUMBER_CELL.fullmatch(cell)), None)
    if data is not None and not any(map(is_known, header)):
        raise BadFile(
            f"{name} has no header: its first line has {data[:60]!r}, which is no column's name."
            " Put a line of names above the rows, as in sku,title,price"
        )
    if twice := sorted(column for column, number in Counter(header).items() if column and number > 1):
        raise BadFile(f"{name} has two columns {twice[0]!r}: rename one of them")


def refuse_wide(columns: Sequence[str], name: str) -> None:
    if len(columns) > MOST_COLUMNS:
        raise BadFile(f"{name} has {len(columns):,} columns, but at most {MOST_COLUMNS:,} are allowed: leave some out")


def read_csv(reader: Iterator[list[str]], lines: Lines, header: tuple[str, ...]) -> Iterator[Record]:
    """All rows except blank ones. After a row with a fault the reader continues with the next line."""
    while True:
        line = lines.number + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except (csv.Error, LineTooLong) as error:
            yield Record(line, {}, describe_csv_error(error, line, lines.number))
            continue
        # DOS ends a file by the sign 0x1A.
        if any(cell.strip(BLANKS) for cell in row):
            yield make_record(line, header, row)


def describe_csv_error(error: Exception, first: int, last: int) -> str:
    where = f", read up to line {last}" if last > first else ""
    if "field limit" in str(error):
        return f"has a cell of more than {csv.field_size_limit():,} characters{where}; close its quote, or shorten it"
    return f"is not a CSV row ({error}{where}); close every quote, and double a quote inside a quoted cell"


def make_record(line: int, header: tuple[str, ...], row: list[str]) -> Record:
    cells = {column: read_cell(cell) for column, cell in zip(header, row, strict=False) if column}
    # Spreadsheets write separators for cells that once had something.
    if len(row) == len(header) or (len(row) > len(header) and not any(map(str.strip, row[len(header) :]))):
        return Record(line, cells)
    few = "add the missing ones, and quote cells that contain a line break"
    remedy = few if len(row) < len(header) else "quote cells that contain the separator"
    number = "1 cell" if len(row) == 1 else f"{len(row)} cells"
    return Record(line, cells, f"has {number}, but the header has {len(header)} columns; {remedy}")


def read_cell(cell: str) -> str:
    if cell.startswith('="') and (found := TEXT_FORMULA.fullmatch(cell)):
        return found[1].replace('""', '"')
    # Our own exports put an apostrophe before cells that look like formulas; it is removed here.
    return unguard_text(cell)
