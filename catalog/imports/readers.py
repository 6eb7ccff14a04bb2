"""A file of bytes in, packed or not, records out: a line number and the cells by column; memory holds one record.

What is wrong with one row becomes that record's fault, and reading goes on; what is wrong with the file is a
BadFile before the first record. Bytes that aren't UTF-8 pass as surrogates and are refused with their cell.
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
# Nothing real comes near it, and a file without line ends must not fill the memory.
MOST_LINE = 4_194_304
# The widest file of a shop system has some 200.
MOST_COLUMNS = 1_000
# NDJSON has no header; keys that the first records don't have count as unknown columns.
FIRST_RECORDS = 100
# How other files begin, as the decoder below shows their first bytes.
FOREIGN = (
    ("\udcff\udcfe", "UTF-16 text: save it as UTF-8"),
    ("\udcfe\udcff", "UTF-16 text: save it as UTF-8"),
    ("PK\x03\x04", "a zip archive or an Excel workbook: unpack it, or save the sheet as CSV (UTF-8)"),
    ("\x1f\udc8b", "packed twice: send it packed once, by gzip or zstd"),
    ("(\udcb5/\udcfd", "packed twice: send it packed once, by gzip or zstd"),
    ("BZh", "packed by bzip2: pack it by gzip or zstd"),
    ("\udcfd7zXZ", "packed by xz: pack it by gzip or zstd"),
    ("[", "a JSON array: write one object a line, as `jq -c '.[]'` does"),
)


class LineTooLong(Exception):
    """A line of more than MOST_LINE characters; the rest of it was skipped."""


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of the row that begins on `line`; with a fault, those that could still be told apart."""

    line: int
    cells: dict[str, Any]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """An opened file: its format, its columns and its records, which can be read once."""

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
        """How far the file is read, packed as it is, up to some buffers' length ahead."""
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
    """The source in `stream`, its format guessed from name and header where none is given. Raises BadFile."""
    lines = Lines(*unpack(stream, name))
    refuse_foreign(lines.first, name)
    if (file_format or guess_text_format(drop_packing(name), lines.first)) == "ndjson":
        return open_ndjson(lines, name)
    return open_csv(lines, name, file_format)


def refuse_foreign(first: str, name: str) -> None:
    if not first.strip():
        raise BadFile(f"{name} is empty, or its first line is: a CSV begins with its column names, NDJSON with a row")
    for start, sentence in FOREIGN:
        if first.startswith(start):
            raise BadFile(f"{name} is {sentence}")


def guess_text_format(name: str, first: str) -> str:
    is_json = PurePath(name).suffix.lower() in (".ndjson", ".jsonl") or first.lstrip().startswith("{")
    return "ndjson" if is_json else "csv"


def open_csv(lines: Lines, name: str, file_format: str | None) -> Source:
    # Spreadsheets of many countries write semicolons; the header shows which it is.
    delimiter = max(",;\t", key=lines.first.count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header = read_header(reader, name)
    is_shopify = "Handle" in header and {"Title", "Variant Price"} & set(header)
    if file_format == "shopify" and not is_shopify:
        raise BadFile(f"{name} has no columns Handle and Title, so it is no product file of Shopify: say format csv")
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
        raise BadFile(f"{name} has {len(columns):,} columns: leave out some; {MOST_COLUMNS:,} is the most")


def read_csv(reader: Iterator[list[str]], lines: Lines, header: tuple[str, ...]) -> Iterator[Record]:
    """Every row but blank ones. After a fault the reader goes on with the next line."""
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
    return f"is no CSV row ({error}{where}); close every quote, and double a quote inside a quoted cell"


def make_record(line: int, header: tuple[str, ...], row: list[str]) -> Record:
    # As our own exports guard them.
    cells = {column: unguard_text(cell) for column, cell in zip(header, row, strict=False) if column}
    if len(row) == len(header):
        return Record(line, cells)
    fault = f"has {len(row)} cells where the header has {len(header)} columns; quote cells that hold the separator"
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
        # The last line of our own exports proves the file whole and is no product.
        if text.strip() and not text.startswith('{"_end":'):
            yield parse_line(lines.number, text)


def parse_line(line: int, text: str) -> Record:
    try:
        cells = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "too deep or a number too long")
        return Record(line, {}, f"is not JSON ({reason}); write one object a line")
    if not isinstance(cells, dict):
        return Record(line, {}, 'is JSON, but no object; write {"sku": …, "title": …, "price": …}')
    return Record(line, cells)
