"""Finds the rows of a page if no index serves its filters and its ordering together (PostgreSQL).

The planner takes matching rows to lie evenly along an ordering, and so walks the ordering's index until it has a page
of them. If few rows match, or only the last ones do, it walks the whole table: 4 s of a million products. So their keys
are found in two steps of one statement, and then the page is read by its keys:

1. the first WALKED_ROWS of the ordering are looked through;
2. if they hold no page, all rows that match are read in the way that is best for the filters, and sorted.

Both are bounded: the first by its number, the second by the filters, not by the table. The first is left out for so few
rows that reading all of them takes less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from config.api.database.statements import Statement
from config.api.problems.errors import SortTooLarge
from config.api.reads.counting import read_plan, strip_rows
from config.api.reads.orderings import Keyset

# Pairs of a filter's name (None for a list without filters) and a column, such as ("brand", "price").
type IndexServed = frozenset[tuple[str | None, str]]

# A row, and one row after it.
SMALLEST_PAGE = 2
# The planner's cost of reading about 10,000 scattered rows. A plan that costs no more, read to its end, is taken.
TRUSTED_COST = 40_000
# So many matching rows are read and sorted without a look at the first rows of the ordering: they take about 10 ms.
SORTED_ROWS = 10_000
# Of the ordering, which are looked through for a page. They take about 10 ms.
WALKED_ROWS = 5_000

GATHER = """
SELECT {key} FROM ({matching} OFFSET 0) gathered ORDER BY {order} LIMIT {size} OFFSET {start}"""
# OFFSET 0 keeps the planner from walking the ordering after all.
WALK_OR_GATHER = """
WITH walked AS MATERIALIZED ({walked})
SELECT {key} FROM (
    SELECT * FROM walked WHERE (SELECT count(*) FROM walked) = {end}
    UNION ALL (
        SELECT * FROM ({matching} OFFSET 0) gathered WHERE (SELECT count(*) FROM walked) < {end}
        ORDER BY {order} LIMIT {end}
    )
) found ORDER BY {order} LIMIT {size} OFFSET {start}"""


@dataclass(frozen=True)
class Steps:
    """How a page is found. `walk` are all rows, whose ordering an index serves; None: the first step is left out."""

    walk: QuerySet[Any] | None = None


def find_steps(rows: QuerySet[Any]) -> Steps | None:
    """The steps of a list of `rows`; None if the planner finds its pages well."""
    return getattr(rows.query, "steps", None)


def choose_steps(
    rows: QuerySet[Any], find_all: Callable[[], QuerySet[Any]], name: str, filters: Sequence[str], served: IndexServed
) -> QuerySet[Any]:
    """`rows` in the ordering `name`, with the steps that find their pages. `find_all` gives them without `filters`.

    At most two EXPLAINs. Raises SortTooLarge if no index serves the ordering, and too many rows match to sort them.
    """
    column = name.lstrip("-")
    is_served = len(filters) <= 1 and (filters[0] if filters else None, column) in served
    if is_served or connections[rows.db].vendor != "postgresql":
        return rows
    # With all columns, as a page has them, and for the smallest one, for which the planner walks most readily.
    if is_trusted(read_plan(rows[:SMALLEST_PAGE])):
        return rows
    found = int(read_plan(strip_rows(rows)).get("Plan Rows", 0))
    is_walked = (None, column) in served
    if found > SORTED_ROWS and not is_walked:
        alternatives = {other for narrow, other in served if narrow in (None, *filters) and other != column}
        raise SortTooLarge(name, found, SORTED_ROWS, sorted(alternatives))
    chosen = rows.all()
    walk = find_all().order_by(*rows.query.order_by) if found > SORTED_ROWS else None
    # A query has the attributes of the one that it is a copy of.
    chosen.query.steps = Steps(walk)  # type: ignore[attr-defined]  # ours
    return chosen


def is_trusted(plan: dict[str, Any]) -> bool:
    """Whether the plan of a page reads few rows even if it has to read to its end."""
    [below] = plan.get("Plans", [plan])[:1]
    return bool(below.get("Total Cost", 0) <= TRUSTED_COST)


def narrow_steps(rows: QuerySet[Any], narrow: Callable[[QuerySet[Any]], QuerySet[Any]]) -> QuerySet[Any]:
    """`narrow(rows)`, with steps that are narrowed, too."""
    narrowed, steps = narrow(rows), find_steps(rows)
    if steps and steps.walk is not None:
        narrowed.query.steps = Steps(narrow(steps.walk))  # type: ignore[attr-defined]  # ours
    return narrowed


def find_keys(rows: QuerySet[Any], steps: Steps, start: int, end: int) -> RawSQL | None:
    """A subselect of the primary keys of a slice; None if Django knows that no row can match."""
    keyset, quote = Keyset.of(rows), connections[rows.db].ops.quote_name
    direction = " DESC" if keyset.descending else ""
    parts = {
        "key": quote(keyset.names[-1]), "order": ", ".join(quote(name) + direction for name in keyset.names),
        "start": start, "end": end, "size": end - start,
    }  # fmt: skip
    matching = Statement.compile(rows.order_by().values(*keyset.names))
    if matching is None:
        return None
    if steps.walk is None:
        return RawSQL(GATHER.format(matching=matching.sql, **parts), matching.parameters)  # noqa: S611 (SQL that Django compiled)
    walked = walk(rows.values(*keyset.names)[:end], steps.walk)
    sql = WALK_OR_GATHER.format(walked=walked.sql, matching=matching.sql, **parts)
    return RawSQL(sql, (*walked.parameters, *matching.parameters))  # noqa: S611 (SQL that Django compiled)


def walk(rows: QuerySet[Any], everything: QuerySet[Any]) -> Statement:
    """The statement of `rows`, as far as they are among the first WALKED_ROWS of `everything`."""
    table = connections[rows.db].ops.quote_name(rows.model._meta.db_table)
    first, found = Statement.compile(everything[:WALKED_ROWS]), Statement.compile(rows)
    assert first
    assert found
    sql = found.sql.replace(f"FROM {table}", f"FROM ({first.sql}) {table}", 1)
    return Statement(rows.db, sql, (*first.parameters, *found.parameters), {})
