"""Rows in, bytes of a file format out. A format is a class with a media type and three methods; no loop knows it.

`begin_file` is what stands before the first row, `encode_rows` one batch, `finish_file` what stands after the last
row, and only after a whole export.
"""

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rest_framework.serializers import BooleanField, DateTimeField, DecimalField, IntegerField

from config.api.renderers import write_json
from config.api.selections import ReadSerializer, Selection, find_fields
from exports.tallies import Tally

# Never text of a person, so never a formula; `-5.00` in them is a number and stays one.
SAFE_FIELDS = (BooleanField, DateTimeField, DecimalField, IntegerField)

# A cell that begins so is run by a spreadsheet.
RISKY = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Column:
    name: str
    is_text: bool


def list_columns(serializer: ReadSerializer, selection: Selection) -> list[Column]:
    """The columns in the serializer's order."""
    fields = find_fields(serializer)
    return [Column(name, not isinstance(fields[name], SAFE_FIELDS)) for name in selection.names]


class Encoder(ABC):
    """A file format. `raw` leaves cells as they are, where the format makes a difference."""

    suffix: ClassVar[str]
    media_type: ClassVar[str]
    # Query parameters of this format alone.
    parameters: ClassVar[tuple[str, ...]] = ()
    has_nested: ClassVar[bool] = False

    def __init__(self, columns: Sequence[Column], raw: bool = False) -> None:
        self.columns = columns
        self.raw = raw

    @abstractmethod
    def begin_file(self) -> bytes: ...

    @abstractmethod
    def encode_rows(self, rows: Sequence[Mapping[str, Any]]) -> bytes: ...

    @abstractmethod
    def finish_file(self, tally: Tally) -> bytes: ...


class NdjsonEncoder(Encoder):
    """A JSON object a line; the last line is the proof: `{"_end": true, "rows": 2, "sha256": "…", …}`."""

    suffix = "ndjson"
    media_type = "application/x-ndjson"
    has_nested = True

    def begin_file(self) -> bytes:
        return b""

    def encode_rows(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        return b"".join(write_json(row) + b"\n" for row in rows)

    def finish_file(self, tally: Tally) -> bytes:
        end = {
            "_end": True,
            "rows": tally.rows,
            "sha256": tally.digest.hexdigest(),
            "last_id": tally.last_id,
            "changes_cursor": None,  # comes with the change feed
        }
        return write_json(end) + b"\n"


class CsvEncoder(Encoder):
    """RFC 4180 in UTF-8: a header, CRLF, null as nothing, `true` and `false`, JSON columns as JSON text."""

    suffix = "csv"
    media_type = "text/csv; charset=utf-8"
    parameters = ("raw",)

    def __init__(self, columns: Sequence[Column], raw: bool = False) -> None:
        super().__init__(columns, raw)
        self.writers = [(column.name, self.choose_writer(column)) for column in columns]

    def choose_writer(self, column: Column) -> Callable[[Any], Any]:
        return write_guarded_cell if column.is_text and not self.raw else write_cell

    def begin_file(self) -> bytes:
        return write_lines([[column.name for column in self.columns]])

    def encode_rows(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        return write_lines([[write(row[name]) for name, write in self.writers] for row in rows])

    def finish_file(self, tally: Tally) -> bytes:
        return b""  # a line that is no row would be read as one


def write_lines(rows: Sequence[Sequence[Any]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode()


def write_cell(value: Any) -> Any:
    match value:
        case bool():
            return "true" if value else "false"
        case dict() | list():
            return write_json(value).decode()
    return value


def write_guarded_cell(value: Any) -> Any:
    """The cell, with a leading `'` where a spreadsheet would run it: `=1+1` becomes `'=1+1`."""
    cell = write_cell(value)
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(RISKY) else cell


FORMATS: dict[str, type[Encoder]] = {encoder.suffix: encoder for encoder in (CsvEncoder, NdjsonEncoder)}
