"""Counts rows for the admin. A count reads at most 10,000 rows."""

from typing import Any

from django.db.models import QuerySet

from config.api.reads.counting import BOUND, count_at_most


class OrMore(int):
    """A number that is shown as `10,000+`: "or more"."""

    def __str__(self) -> str:
        return f"{int(self):,}+"

    def __html__(self) -> str:
        return str(self)


def count_rows(rows: QuerySet[Any]) -> int:
    """The number of rows; OrMore(BOUND) if there are more than BOUND."""
    number = count_at_most(rows, BOUND)
    return number if number <= BOUND else OrMore(BOUND)
