"""Errors of a file: of the whole file (BadFile) or of one row (BadRow)."""

from dataclasses import dataclass
from typing import NamedTuple, Self

from config.api.jobs.models import JobFailure

# The column of a file to mend that says why its row was refused. An import doesn't read it.
REASON = "import_error"


class BadFile(JobFailure):
    """The file can't be imported at all. The sentence has its name, the rule and the remedy."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error of a row that isn't imported.

    The line where the row begins, its SKU or handle, and the column, the value (in quotes), the rule and the remedy.
    An error of the whole row has no column, and one that follows from other rows no value.
    """

    line: int
    key: str
    column: str
    value: str
    rule: str
    remedy: str = ""

    @property
    def reason(self) -> str:
        """All of it in one sentence: `price: '-1' is below 0; give 0 or more`."""
        subject = f"{self.column}: " if self.column else ""
        value = f"{self.value} " if self.value else ""
        return f"{subject}{value}{self.rule}{'; ' if self.remedy else ''}{self.remedy}"

    @classmethod
    def of_row(cls, line: int, key: str, fault: str) -> Self:
        rule, _, remedy = fault.partition("; ")
        return cls(line, key, "", "", f"the row {rule}", remedy)


class BadRow(Exception):
    """A row with at least one bad value. `refusals` has one entry for each bad value.

    `line` is the line where the row, or the first row of its product, begins.
    """

    def __init__(self, refusals: list[Refusal], line: int = 0) -> None:
        super().__init__(refusals[0].reason)
        self.refusals = refusals
        self.line = line or refusals[0].line


class Line(NamedTuple):
    """Where a draft is in the file: the line where its row begins, and `variants[2].` inside a list of the row."""

    number: int
    prefix: str = ""

    def locate(self, member: str) -> str:
        return f"on line {self.number}"
