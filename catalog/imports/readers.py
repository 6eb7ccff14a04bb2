"""A stream of bytes in, compressed or not, records out: a line number and the cells by column. Memory holds one record.

An error in one row becomes that record's fault, and reading continues. An error of the whole file raises BadFile before
the first record. Bytes that aren't UTF-8 become surrogates here; reading their cell's value gives the error.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import PurePath
from typing import IO, Any

from catalog.imports.errors import BadFile
from catalog.imports.unpacking import PackedSource, drop_packing, unpack
from config.api.rendering.formulas import unguard_text

FORMATS = ("shopify", "csv", "ndjson")
# The most characters of a line. Real lines are much shorter; a file without line ends must not fill the memory.
MOST_LINE = 4_194_304
# The most columns of a file. The widest files of shop systems have about 200.
MOST_COLUMNS = 1_000
# NDJSON has no header: its columns are the keys of so many first records. A key that comes later is an unknown column.
FIRST_RECORDS = 100
# The first characters of files of other kinds, as the decoder below shows them, and the names of these kinds.
FOREIGN = (
    ("\udcff\udcfe", "UTF-16 text: save it as UTF-8"),
    ("\udcfe\udcff", "UTF-16 text: save it as UTF-8"),
    ("PK\x03\x04", "a zip archive or an Excel workbook: unpack it, or save the sheet as CSV (UTF-8)"),
    ("\x1f\udc8b", "compressed twice: compress it once, with gzip or zstd"),
    ("(\udcb5/\udcfd", "compressed twice: compress it once, with gzip or zstd"),
    ("BZh", "compressed with bzip2: use gzip or zstd"),
    ("\udcfd7zXZ", "compressed with xz: use gzip or zstd"),
    ("[", "a JSON array: write one object a line, as `jq -c '.[]'` does"),
)


class LineTooLong(Exception):
    """A line has more than MOST_LINE characters. The rest of the line was skipped."""


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of the row that begins on `line`. With a `fault`, only the cells that could be read."""

    line: int
    cells: dict[str, Any]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """An opened file: its format, columns and records. The records can be read once."""

    name: str
    format: str
    columns: tuple[str, ...]
    records: Iterator[Record]
    lines: "Lines"


class Lines(Iterator[str]):
    """The lines of a file and the number of the last one read."""

    def __init__(self, stream: IO[bytes], packed: PackedSource) -> None:
        self.packed = packed
        self.file = TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        self.number = 0
        self.first = self.file.readline(MOST_LINE)
        self._waiting = [self.first] if self.first else []

    @property
    def bytes_read(self) -> int:
        """The bytes read from the file as it is stored, so compressed; buffers may be some way ahead of the rows."""
        return self.packed.bytes_read

    def __next__(self) -> str:
        line = self._waiting.pop() if self._waiting else self.file.readline(MOST_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) < MOST_LINE or line.endswith("\n"):
            return line
        while (rest := self.file.readline(MOST_LINE)) and not rest.endswith("\n"):
            pass
        raise LineTooLong(f"a line has more than {MOST_LINE:,} characters")


def open_source(stream: IO[bytes], name: str, file_format: str | None = None) -> Source:
    """Open a file. Without `file_format` the name and the header tell the format. Raises BadFile."""
    lines = Lines(*unpack(stream, name))
    refuse_foreign(lines.first, name)
    if (file_format or guess_text_format(drop_packing(name), lines.first)) == "ndjson":
        return open_ndjson(lines, name)
    return open_csv(lines, name, file_format)


def refuse_foreign(first: str, name: str) -> None:
    if not first.strip():
        raise BadFile(f"{name} or its first line is empty: a CSV begins with its column names, NDJSON with a row")
    for start, sentence in FOREIGN:
        if first.startswith(start):
            raise BadFile(f"{name} is {sentence}")


def guess_text_format(name: str, first: str) -> str:
    is_json = PurePath(name).suffix.lower() in (".ndjson", ".jsonl") or first.lstrip().startswith("{")
    return "ndjson" if is_json else "csv"


def open_csv(lines: Lines, name: str, file_format: str | None) -> Source:
    # Spreadsheets in many countries write semicolons. The header shows which delimiter the file has.
    delimiter = max(",;\t", key=lines.first.count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header = read_header(reader, name)
    is_shopify = "Handle" in header and {"Title", "Variant Price"} & set(header)
    if file_format == "shopify" and not is_shopify:
        raise BadFile(f"{name} has no columns Handle and Title, so it is not a Shopify product file: use format csv")
    guessed = "shopify" if is_shopify else "csv"
    return Source(name, file_format or guessed, header, read_csv(reader, lines, header), lines)


def read_header(reader: Iterator[list[str]], name: str) -> tuple[str, ...]:
    try:
        header = tuple(cell.strip() for cell in next(reader))
        "".join(header).encode()
    except (csv.Error, LineTooLong) as error:
        raise BadFile(f"{name}: its first line can't be read as column names ({error}): is it a CSV file?") from None
    except UnicodeEncodeError:
        raise BadFile(f"{name}: its column names aren't UTF-8: save the file as UTF-8") from None
    refuse_wide(header, name)
    if twice := sorted(column for column, number in Counter(header).items() if column and number > 1):
        raise BadFile(f"{name} has two columns {twice[0]!r}: rename one of them")
    return header


def refuse_wide(columns: tuple[str, ...], name: str) -> None:
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
        if any(cell.strip() for cell in row):
            yield make_record(line, header, row)


def describe_csv_error(error: Exception, first: int, last: int) -> str:
    where = f", read up to line {last}" if last > first else ""
    return f"is not a CSV row ({error}{where}); close every quote, and double a quote inside a quoted cell"


def make_record(line: int, header: tuple[str, ...], row: list[str]) -> Record:
    # Our own exports put an apostrophe before cells that look like formulas; it is removed here.
    cells = {column: unguard_text(cell) for column, cell in zip(header, row, strict=False) if column}
    if len(row) == len(header):
        return Record(line, cells)
    fault = f"has {len(row)} cells, but the header has {len(header)} columns; quote cells that contain the separator"
    return Record(line, cells, fault)


def open_ndjson(lines: Lines, name: str) -> Source:
    records = read_ndjson(lines)
    first = list(islice(records, FIRST_RECORDS))
    columns = tuple(dict.fromkeys(column for record in first for column in record.cells))
    refuse_wide(columns, name)
    return Source(name, "ndjson", columns, chain(first, records), lines)


def read_ndjson(lines: Lines) -> Iterator[Record]:
    while True:
        try:
            text = next(lines)
        except StopIteration:
            return
        except LineTooLong as error:
            yield Record(lines.number, {}, f"can't be read ({error}); write one object a line")
            continue
        # The last line of our own NDJSON exports marks a complete file; it isn't a product.
        if text.strip() and not text.startswith('{"_end":'):
            yield parse_line(lines.number, text)


def parse_line(line: int, text: str) -> Record:
    try:
        cells = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "too deep or a number too long")
        return Record(line, {}, f"is not JSON ({reason}); write one object a line")
    if not isinstance(cells, dict):
        return Record(line, {}, 'is JSON, but not an object; write {"sku": …, "title": …, "price": …}')
    return Record(line, cells)
