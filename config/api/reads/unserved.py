"""Finds the rows of a page if no index serves its filters and its ordering together (PostgreSQL).

The planner takes matching rows to lie evenly along an ordering, and so walks the ordering's index until it has a page
of them. If few rows match, or only the last ones do, it walks the whole table: 4 s of a million products. So their keys
are found in two steps of one statement, and then the page is read by its keys:

1. the first rows of the ordering are looked through, some more than would hold a page if the matching ones lay evenly;
2. if they hold no page, all rows that match are read in the way that is best for the filters, and sorted.

Both are bounded: the first by WALKED_ROWS, the second by the filters, not by the table. The first is left out if it
would cost as much as the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from config.api.database.statements import Statement
from config.api.problems.errors import SortTooLarge
from config.api.reads.counting import GREATEST_COST, read_plan
from config.api.reads.orderings import Keyset

# Pairs of a filter's name (None for a list without filters) and a column, such as ("brand", "price").
type IndexServed = frozenset[tuple[str | None, str]]

# A row, and one row after it.
SMALLEST_PAGE = 2
# The planner's cost of reading about 10,000 scattered rows. A plan that costs no more, read to its end, is taken.
TRUSTED_COST = 40_000
# So many matching rows are read and sorted in an ordering that no index serves: they take about 10 ms.
SORTED_ROWS = 10_000
# The most rows of the ordering that are looked through for a page. They lie anywhere, and take about 25 ms.
WALKED_ROWS = 10_000
# The rows of a page, and how many times the rows that hold it on average are looked through: then it is there in 99 of
# 100 lists whose rows lie evenly.
PAGE_ROWS, MARGIN = 50, 1.5

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
    """How a page is found. `walk` are all rows, whose ordering an index serves; None: the first step is left out.

    `walked` is the number of them that are looked through.
    """

    walk: QuerySet[Any] | None = None
    walked: int = 0


def find_steps(rows: QuerySet[Any]) -> Steps | None:
    """The steps of a list of `rows`; None if the planner finds its pages well."""
    return getattr(rows.query, "steps", None)


def choose_steps(
    rows: QuerySet[Any], find_all: Callable[[], QuerySet[Any]], name: str, filters: Sequence[str], served: IndexServed
) -> QuerySet[Any]:
    """`rows` in the ordering `name`, with the steps that find their pages. `find_all` gives them without `filters`.

    At most three EXPLAINs. Raises SortTooLarge if no index serves the ordering, and too many rows match to sort them.
    """
    column = name.lstrip("-")
    is_served = len(filters) <= 1 and (filters[0] if filters else None, column) in served
    if is_served or connections[rows.db].vendor != "postgresql":
        return rows
    # With all columns, as a page has them, and for the smallest one, for which the planner walks most readily.
    if is_trusted(read_plan(rows[:SMALLEST_PAGE])):
        return rows
    gather, is_walked = read_plan(find_matching(rows)), (None, column) in served
    if not is_walked:
        refuse_large_sort(name, gather, {other for narrow, other in served if narrow in (None, *filters)} - {column})
        return take_steps(rows, Steps(), gather)
    return take_steps(rows, plan_walk(find_all().order_by(*rows.query.order_by), gather), gather)


def refuse_large_sort(name: str, gather: dict[str, Any], alternatives: Set[str]) -> None:
    """Raise SortTooLarge if the planner expects more rows than are sorted. `alternatives` are columns with an index."""
    if (found := int(gather.get("Plan Rows", 0))) > SORTED_ROWS:
        raise SortTooLarge(name, found, SORTED_ROWS, sorted(alternatives))


def take_steps(rows: QuerySet[Any], steps: Steps, gather: dict[str, Any]) -> QuerySet[Any]:
    """The rows, whose pages are found by these steps. A query has the attributes of the one that it is a copy of."""
    chosen = rows.all()
    chosen.query.steps = steps  # type: ignore[attr-defined]  # ours
    # If no index finds the rows either, statements.py limits the time of the page and of its count.
    chosen.query.is_dear = gather.get("Total Cost", 0) > GREATEST_COST  # type: ignore[attr-defined]  # ours
    return chosen


def find_matching(rows: QuerySet[Any]) -> QuerySet[Any]:
    """All rows that match, with what orders them, in any order."""
    return rows.order_by().values(*Keyset.of(rows).names)


def plan_walk(everything: QuerySet[Any], gather: dict[str, Any]) -> Steps:
    """The steps of a page, by the planner's estimates of all rows and of those that match."""
    walk = read_plan(everything[:WALKED_ROWS])
    [below] = walk.get("Plans", [walk])[:1]
    needed = PAGE_ROWS * below.get("Plan Rows", 0) / max(1, gather.get("Plan Rows", 0))
    walked = min(WALKED_ROWS, int(MARGIN * needed))
    cost = walk.get("Total Cost", 0) * walked / max(1, WALKED_ROWS)
    is_cheaper = needed <= WALKED_ROWS and cost < gather.get("Total Cost", 0)
    return Steps(everything, walked) if is_cheaper else Steps()


def is_trusted(plan: dict[str, Any]) -> bool:
    """Whether the plan of a page reads few rows even if it has to read to its end."""
    [below] = plan.get("Plans", [plan])[:1]
    return bool(below.get("Total Cost", 0) <= TRUSTED_COST)


def narrow_steps(rows: QuerySet[Any], narrow: Callable[[QuerySet[Any]], QuerySet[Any]]) -> QuerySet[Any]:
    """`narrow(rows)`, with steps that are narrowed, too."""
    narrowed, steps = narrow(rows), find_steps(rows)
    if steps and steps.walk is not None:
        narrowed.query.steps = replace(steps, walk=narrow(steps.walk))  # type: ignore[attr-defined]  # ours
    return narrowed


def find_keys(rows: QuerySet[Any], steps: Steps, start: int, end: int) -> RawSQL | None:
    """A subselect of the primary keys of a slice; None if Django knows that no row can match."""
    keyset, quote = Keyset.of(rows), connections[rows.db].ops.quote_name
    direction = " DESC" if keyset.descending else ""
    parts = {
        "key": quote(keyset.names[-1]), "order": ", ".join(quote(name) + direction for name in keyset.names),
        "start": start, "end": end, "size": end - start,
    }  # fmt: skip
    matching = Statement.compile(find_matching(rows))
    if matching is None:
        return None
    if steps.walk is None:
        return RawSQL(GATHER.format(matching=matching.sql, **parts), matching.parameters)  # noqa: S611 (SQL that Django compiled)
    walked = walk(rows.values(*keyset.names)[:end], steps.walk[: steps.walked])
    sql = WALK_OR_GATHER.format(walked=walked.sql, matching=matching.sql, **parts)
    return RawSQL(sql, (*walked.parameters, *matching.parameters))  # noqa: S611 (SQL that Django compiled)


def walk(rows: QuerySet[Any], looked_through: QuerySet[Any]) -> Statement:
    """The statement of `rows`, as far as they are among `looked_through`."""
    table = connections[rows.db].ops.quote_name(rows.model._meta.db_table)
    first, found = Statement.compile(looked_through), Statement.compile(rows)
    assert first
    assert found
    sql = found.sql.replace(f"FROM {table}", f"FROM ({first.sql}) {table}", 1)
    return Statement(rows.db, sql, (*first.parameters, *found.parameters), {})
