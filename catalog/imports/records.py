"""What readers hand to formats: records (a line number and the cells by column), and the source that they come from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from catalog.imports.unpacking import PackedSource


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of the row that begins on `line`. With a `fault`, only the cells that could be read.

    In a JSON list, an XML feed and a Parquet file, `line` is the number of the entry: lines say nothing there.
    """

    line: int
    cells: dict[str, Any]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Guess:
    """An option that nobody gave, the value that was used instead, and the reason or the remedy."""

    option: str
    used: str
    reason: str


@dataclass(slots=True)
class Notes:
    """What a report tells beside its counts. Bounded: one guess for each option and column."""

    guesses: dict[tuple[str, str], Guess] = field(default_factory=dict)

    def guess(self, option: str, used: str, reason: str, about: str = "") -> None:
        """`about` is the column, if the guess isn't about the whole file."""
        if (option, about) not in self.guesses:
            self.guesses[option, about] = Guess(option, used, reason)

    def as_json(self) -> list[dict[str, str]]:
        return [{"option": one.option, "used": one.used, "reason": one.reason} for one in self.guesses.values()]


@dataclass(slots=True)
class Source:
    """An opened file: its kind (csv, ndjson, json, xlsx, xml, parquet), columns and records.

    The records can be read once. `columns` of JSON grows while records are read, up to MOST_COLUMNS.
    """

    name: str
    kind: str
    columns: dict[str, None]
    records: Iterator[Record]
    packed: PackedSource
    notes: Notes

    @property
    def bytes_read(self) -> int:
        """The bytes read from the file as it is stored, so compressed; buffers may be some way ahead of the rows."""
        return self.packed.bytes_read
