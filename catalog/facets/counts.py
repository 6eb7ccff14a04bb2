"""How many rows were read in, a count and its relation out: `eq`, `approx` or `gte`.

Of a set of rows, at most MOST_READ + 1 are read. If there are more, rows are drawn from the whole table: one id of each
run of `step` ids. So each row of the set that was drawn stands for `step` rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from config.api.reads.counting import BOUND, Count

# Sets with at most this many rows are counted exactly, whatever the filters are.
MOST_READ = BOUND
# The most ids that are drawn. PostgreSQL looks them up by the primary key in about 60 ms.
DRAWS = 40_000
# If this many rows with a value were drawn, their number differs by less than 5 % from the true share in 999 of 1,000
# draws: 3.3 standard deviations, each the square root of the number.
ENOUGH = 4_400
DEVIATIONS = 3.3
# Below this number a count may be any estimate.
FEW = 1_000


class Read(NamedTuple):
    """The rows with a value: `first` of those that were read first, and `drawn` of those that were drawn."""

    first: int = 0
    drawn: int = 0

    def __add__(self, other: tuple[int, ...]) -> Read:  # type: ignore[override]  # the sum, not a longer tuple
        return Read(self.first + other[0], self.drawn + other[1])


@dataclass(frozen=True)
class RowSet:
    """How a set of rows was read. `is_whole`: all of them were read first. `step`: what a drawn row stands for."""

    is_whole: bool = True
    step: int = 1

    def count(self, read: Read) -> Count:
        """A count past FEW that is `approx` is within 5 %. One that is `gte` is what was read at least."""
        if self.is_whole:
            return read.first, "eq"
        estimate = read.drawn * self.step
        if self.step == 1:
            return estimate, "eq"
        if read.drawn >= ENOUGH:
            return estimate, "approx"
        if self.step * find_upper(read.drawn) < FEW:
            return max(read.first, estimate), "approx"
        return max(read), "gte"


def find_upper(drawn: int) -> float:
    """The number that would hardly ever let so few rows be drawn."""
    return drawn + DEVIATIONS * sqrt(drawn + 1) + DEVIATIONS
