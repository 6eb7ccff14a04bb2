"""Columns and rows in, bytes of a file out: what stands before the first row, between all of them and after the last.

PostgreSQL writes the rows itself (exports/rows); SQLite, which has no CSV, gets its lines here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

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
from config.api.rendering.formulas import guard_text
from config.api.rendering.renderers import write_json
from exports.formats.tallies import Tally

# Of a column's values; the first that fits. What is left is text.
KINDS: tuple[tuple[str, tuple[type[Any], ...]], ...] = (
    ("flag", (BooleanField,)),
    ("number", (IntegerField, PrimaryKeyRelatedField)),
    ("decimal", (DecimalField,)),
    ("time", (DateTimeField,)),
    ("json", (JSONField, DictField)),
)


@dataclass(frozen=True)
class Column:
    """`kind` is number, decimal, flag, time, json or text: only the last is what a person wrote."""

    name: str
    kind: str


def list_columns(serializer: ReadSerializer, selection: Selection) -> list[Column]:
    """The columns in the serializer's order; an expanded relation is json."""
    fields, expanded = find_fields(serializer), dict(selection.expanded)
    return [Column(name, "json" if name in expanded else find_kind(fields[name])) for name in selection.names]


def find_kind(field: Any) -> str:
    return next((kind for kind, classes in KINDS if isinstance(field, classes)), "text")


class Format:
    """A file format of a stream."""

    suffix: ClassVar[str]
    media_type: ClassVar[str]
    # Whether a row may hold objects and lists, as `expand` makes them.
    has_nested: ClassVar[bool] = False
    # Query parameters of this format alone.
    parameters: ClassVar[tuple[str, ...]] = ()
    # What the OpenAPI document says of a stream; `{name}` stands for its resource.
    summary: ClassVar[str]

    @staticmethod
    def begin_file(columns: Sequence[Column]) -> bytes:
        return b""

    @staticmethod
    def finish_file(tally: Tally, changes_cursor: int | None) -> bytes:
        """Written after a whole export only."""
        return b""


class Ndjson(Format):
    """A JSON object a line; the last line is the proof: `{"_end": true, "rows": 2, "sha256": "…", …}`."""

    suffix = "ndjson"
    media_type = "application/x-ndjson"
    has_nested = True
    summary = "All {name} as NDJSON, with a trailer line that proves it whole."

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


class Csv(Format):
    """RFC 4180 in UTF-8, with LF: a header, null as nothing, `true` and `false`, JSON columns as JSON text."""

    suffix = "csv"
    media_type = "text/csv; charset=utf-8"
    parameters = ("raw",)
    summary = "All {name} as CSV."

    @staticmethod
    def begin_file(columns: Sequence[Column]) -> bytes:
        return write_line([column.name for column in columns])


FORMATS: dict[str, type[Format]] = {format_.suffix: format_ for format_ in (Csv, Ndjson)}

# -- CSV where the database writes none --------------------------------------------------------------------------

# As PostgreSQL's COPY does it; an empty text is quoted, and so isn't null.
NEEDS_QUOTES = re.compile(r'[",\r\n]|\A\Z')


def write_csv(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], raw: bool) -> bytes:
    """A line for each of `rows`, which are as the API shows them."""
    return b"".join(
        write_line([write_cell(row[column.name], column.kind == "text" and not raw) for column in columns])
        for row in rows
    )


def write_line(cells: Sequence[str | None]) -> bytes:
    return (",".join("" if cell is None else quote_cell(cell) for cell in cells) + "\n").encode()


def quote_cell(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if NEEDS_QUOTES.search(cell) else cell


def write_cell(value: Any, is_guarded: bool) -> str | None:
    """The cell's text, guarded where a spreadsheet would run it."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case dict() | list():
            return write_json(value).decode()
    return guard_text(str(value)) if is_guarded else str(value)
