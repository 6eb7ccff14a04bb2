"""Reads the cells of one row, and collects the errors: each with line, column, value, rule and remedy."""

from collections.abc import Iterable, Mapping
from typing import Any

from catalog.imports.errors import BadRow, Line, Refusal
from catalog.imports.numbers import Cell
from catalog.imports.records import Record
from catalog.imports.values import Blank, Field, is_blank
from catalog.writes.drafts import ImageDraft, Values
from catalog.writes.values import BadMembers, BadValue, show_value


class RowReader:
    """Reads the cells of one row and collects the errors. `key` is the row's SKU or handle, for messages."""

    def __init__(self, record: Record, key: str) -> None:
        self.line = record.line
        self.place = Line(record.line)
        self.key = key
        self.refusals: list[Refusal] = []
        self.is_broken = bool(record.fault)
        if record.fault:
            self.refusals.append(Refusal.of_row(self.line, key, record.fault))

    def refuse(self, column: str, rule: str, remedy: str, value: str = "") -> None:
        # In a broken row the cells may be in wrong columns, so further errors would mislead.
        if not self.is_broken:
            self.refusals.append(Refusal(self.line, self.key, column, value, rule, remedy))

    def read_cell(self, column: str, field: Field, cell: Cell) -> Any:
        """The cell's value; Blank.KEEPS if the field shall not change or the value has an error."""
        return field.blank if is_blank(cell) else self.read_value(column, field, cell)

    def read_value(self, column: str, field: Field, cell: Cell) -> Any:
        try:
            return field.read(cell)
        except BadValue as error:
            self.refuse_value(column, cell, error)
        except BadMembers as error:
            for name, (value, reason) in error.members.items():
                self.refuse_value(f"{column}.{name}", value, reason)
        return Blank.KEEPS

    def refuse_value(self, column: str, cell: Cell, error: BadValue) -> None:
        self.refuse(column, error.rule, error.remedy, show_value(cell))

    def read_row(self, cells: Mapping[str, Cell], fields: Mapping[str, Field], prefix: str = "") -> dict[str, Any]:
        """The values of the `fields` that have a cell."""
        values = {
            name: self.read_cell(prefix + name, field, cells[name]) for name, field in fields.items() if name in cells
        }
        return {name: value for name, value in values.items() if value is not Blank.KEEPS}

    def finish(self) -> None:
        if self.refusals:
            raise BadRow(self.refusals)


def name_key(cell: Cell) -> str:
    """A SKU or handle for messages: shortened, since it may be the error."""
    return "" if is_blank(cell) else show_value(cell)[1:-1]


def pick(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def draft_image(place: Line, fields: Values) -> ImageDraft:
    return ImageDraft(place, fields, url=fields["url"])


def keep_first(images: Iterable[ImageDraft]) -> tuple[ImageDraft, ...]:
    """Each address once. Members that only a later one has, such as its text, are kept."""
    by_url: dict[str | None, ImageDraft] = {}
    for image in images:
        if first := by_url.get(image.url):
            first.fields = image.fields | first.fields
        by_url.setdefault(image.url, image)
    return tuple(by_url.values())
