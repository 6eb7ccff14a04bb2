"""Errors of a file: of the whole file (BadFile) or of one row (BadRow)."""

from dataclasses import dataclass
from typing import NamedTuple

from config.api.jobs.models import JobFailure


class BadFile(JobFailure):
    """The file can't be imported at all. The sentence has its name, the rule and the remedy."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error of a row that isn't imported: the line where the row begins, its SKU or handle, and the reason."""

    line: int
    key: str
    reason: str


class BadRow(Exception):
    """A row with at least one bad value. `refusals` has one entry for each bad value."""

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__(refusals[0].reason)
        self.refusals = refusals


class Line(NamedTuple):
    """Where a draft is in the file: the line where its row begins, and `variants[2].` inside a list of the row."""

    number: int
    prefix: str = ""

    def locate(self, member: str) -> str:
        return f"on line {self.number}"
