"""The options of an import, the same for the command, the API and the admin. Their combinations are checked here."""

from dataclasses import dataclass, fields
from typing import Any, Self

from catalog.imports.encodings import find_codec
from catalog.imports.errors import BadFile

DECIMALS = (".", ",")
WEIGHT_UNITS = ("g", "kg", "lb", "oz")
MISSING = ("keep", "archive")
LONGEST_SEPARATOR = 10

HELP = {
    "encoding": "The encoding of a text that isn't UTF-8 or UTF-16, such as windows-1252.",
    "decimal": "The sign before the decimal places of the file's numbers: a dot or a comma.",
    "category_separator": "The sign between the names of a category's path; default: >",
    "weight_unit": "The unit of weights whose column doesn't name one.",
    "status": "The status of new products, whatever the file says: draft for a careful start.",
    "missing": "What happens to products that the file doesn't name: keep, or archive.",
    "update_only": "Skip products that don't exist yet.",
    "create_only": "Skip products that exist.",
}


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is read and written. An empty text means: guess, or the default."""

    format: str = ""
    map: str = ""
    encoding: str = ""
    decimal: str = ""
    category_separator: str = ""
    weight_unit: str = ""
    status: str = ""
    missing: str = "keep"
    update_only: bool = False
    create_only: bool = False

    def check(self) -> None:
        """Raises BadFile for options that contradict each other, or an unknown encoding."""
        if self.update_only and self.create_only:
            raise BadFile("update_only and create_only together leave nothing to do: give one of them")
        if self.encoding:
            find_codec(self.encoding)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """The options among `values`, which may have others."""
        return cls(**{name: values[name] for name in DEFAULTS if name in values})

    def as_given(self) -> dict[str, Any]:
        """The options beside `format` and `map` that aren't the defaults."""
        given = {name: getattr(self, name) for name in HELP}
        return {name: value for name, value in given.items() if value != DEFAULTS[name]}


DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Options)}
