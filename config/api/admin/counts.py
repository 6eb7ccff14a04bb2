"""Counts rows for the admin. A count reads at most 10,000 rows."""

from typing import Any

from django.db import connections
from django.db.models import QuerySet

from config.api.reads.counting import BOUND, count_at_most, read_plan, walk_plan


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


def estimate_sort(rows: QuerySet[Any]) -> int:
    """The number of rows that the planner expects to sort for `rows`; 0 if an index gives the order, and on SQLite."""
    if connections[rows.db].vendor != "postgresql":
        return 0
    sorts = [node for node in walk_plan(read_plan(rows)) if node.get("Node Type") == "Sort"]
    return max((below["Plan Rows"] for node in sorts for below in node["Plans"]), default=0)
