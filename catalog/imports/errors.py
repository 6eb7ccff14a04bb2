"""What is wrong with a file: with it as a whole, or with a row of it."""

from dataclasses import dataclass
from typing import NamedTuple

from config.api.jobs.models import JobFailure


class BadFile(JobFailure):
    """The file can't be imported at all: one sentence with its name, the rule and the remedy."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that isn't imported: the line where it begins, its SKU or handle, and why."""

    line: int
    key: str
    reason: str


class BadRow(Exception):
    """A row with at least one bad value; `refusals` has one entry for each of them."""

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__(refusals[0].reason)
        self.refusals = refusals


class Line(NamedTuple):
    """The place of a draft: the line where its row begins, and inside a list of the row `variants[2].`."""

    number: int
    prefix: str = ""

    def locate(self, member: str) -> str:
        return f"on line {self.number}"
