"""The formats of streams: what a file has before its first row and after its last, and CSV rows for SQLite.

PostgreSQL writes the rows itself (exports/rows). SQLite can't write CSV, so `write_csv` does.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
from rest_framework.relations import PrimaryKeyRelatedField
from rest_framework.serializers import (
    BooleanField,
    DateTimeField,
    DecimalField,
    DictField,
    IntegerField,
    JSONField,
)

from config.api.reads.selections import ReadSerializer, Selection, find_fields
from config.api.rendering.formulas import guard_json, guard_text
from config.api.rendering.renderers import write_json
from exports.formats.tallies import Tally

# The kind of a column by the class of its serializer field. The first match counts; all other classes are text.
KINDS: tuple[tuple[str, tuple[type[Any], ...]], ...] = (
    ("flag", (BooleanField,)),
    ("number", (IntegerField, PrimaryKeyRelatedField)),
    ("decimal", (DecimalField,)),
    ("time", (DateTimeField,)),
    ("json", (JSONField, DictField)),
)


@dataclass(frozen=True)
class Column:
    """A column of an export. `kind` is number, decimal, flag, time, json or text."""

    name: str
    kind: str


def list_columns(serializer: ReadSerializer, selection: Selection) -> list[Column]:
    """The selected columns, in the serializer's order. An expanded relation has the kind json."""
    fields, expanded = find_fields(serializer), dict(selection.expanded)
    return [Column(name, "json" if name in expanded else find_kind(fields[name])) for name in selection.names]


def find_kind(field: Any) -> str:
    return next((kind for kind, classes in KINDS if isinstance(field, classes)), "text")


class Format:
    """A file format of a stream."""

    # Its name, and the end of its addresses.
    suffix: ClassVar[str]
    media_type: ClassVar[str]
    # The end of its files' names, if it is another one.
    file_suffix: ClassVar[str] = ""
    # Whether a row may have objects and lists, as with `expand`.
    has_nested: ClassVar[bool] = False
    # The shape of its rows, if it has one of its own. Then `fields` and `expand` don't choose what rows have, and
    # `write_rows` makes the bytes.
    shape: ClassVar[ReadSerializer | None] = None
    # Filters that hold unless the request has others of the same name.
    filters: ClassVar[Mapping[str, str]] = {}
    # Query parameters that only this format has.
    parameters: ClassVar[tuple[str, ...]] = ()
    # The stream's description in the OpenAPI document; `{name}` is replaced by the resource.
    summary: ClassVar[str]

    @staticmethod
    def begin_file(columns: Sequence[Column]) -> bytes:
        return b""

    @classmethod
    def check_settings(cls) -> None:
        """Raises ApiError if the server lacks a setting that the format needs."""

    @classmethod
    def write_rows(cls, lines: bytes) -> bytes:
        """The file's lines for rows of the format's own shape, which come as NDJSON."""
        raise NotImplementedError

    @staticmethod
    def end_file() -> bytes:
        """The bytes after the last row. They are written only if the export is complete."""
        return b""

    @staticmethod
    def finish_file(tally: Tally, changes_cursor: int | None) -> bytes:
        """What proves a stream complete, after all else. (A job has a manifest.)"""
        return b""


class Ndjson(Format):
    """One JSON object on each line. The last line proves the file complete: `{"_end": true, "rows": 2, …}`."""

    suffix = "ndjson"
    media_type = "application/x-ndjson"
    has_nested = True
    parameters = ("trailer",)
    summary = "All {name} as NDJSON. The last line proves that the file is complete."

    @staticmethod
    def finish_file(tally: Tally, changes_cursor: int | None) -> bytes:
        end = {
            "_end": True,
            "rows": tally.rows,
            "sha256": tally.digest.hexdigest(),
            "last_id": tally.last_id,
            "changes_cursor": None if changes_cursor is None else str(changes_cursor),
        }
        return write_json(end) + b"\n"


class FlatRows(Ndjson):
    """Rows of a table as JSON, from which a job builds its file (Parquet, XLSX)."""

    suffix = "rows"
    has_nested = False


class Csv(Format):
    """RFC 4180 in UTF-8, but with LF. It has a header, empty cells for null, `true` and `false`, and JSON as text."""

    suffix = "csv"
    media_type = "text/csv; charset=utf-8"
    parameters = ("raw",)
    summary = "All {name} as CSV."

    @staticmethod
    def begin_file(columns: Sequence[Column]) -> bytes:
        return write_line([column.name for column in columns])


def parse_rows(lines: bytes) -> Iterator[dict[str, Any]]:
    """The rows of an NDJSON chunk, as the API shows them: decimals and times are texts."""
    return map(orjson.loads, lines.splitlines())


# -- CSV for SQLite ----------------------------------------------------------------------------------------------

# The kinds of columns that have what people wrote.
GUARDED = frozenset({"text", "json"})
# The same quotes as PostgreSQL's COPY writes. An empty text is quoted, so it differs from null.
NEEDS_QUOTES = re.compile(r'[",\r\n]|\A\Z')


def write_csv(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], raw: bool) -> bytes:
    """A line of CSV for each row. The rows are as the API shows them."""
    return b"".join(
        write_line([write_cell(row[column.name], column.kind in GUARDED and not raw) for column in columns])
        for row in rows
    )


def write_line(cells: Sequence[str | None]) -> bytes:
    return (",".join("" if cell is None else quote_cell(cell) for cell in cells) + "\n").encode()


def quote_cell(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if NEEDS_QUOTES.search(cell) else cell


def write_cell(value: Any, is_guarded: bool) -> str | None:
    """The cell's text; with `is_guarded`, an apostrophe before a text that a spreadsheet would run as a formula."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case dict() | list():
            text = write_json(value).decode()
            return guard_json(text) if is_guarded else text
    return guard_text(str(value)) if is_guarded else str(value)
