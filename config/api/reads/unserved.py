"""Finds the rows of a page if no index serves its filters and its ordering together (PostgreSQL).

If an index serves the ordering within each value of a filter, the rows of its values are merged (runs.py). Else the
planner takes matching rows to lie evenly along an ordering, and so walks the ordering's index until it has a page
of them. If few rows match, or only the last ones do, it walks the whole table: 4 s of a million products. So their keys
are found in two steps of one statement, and then the page is read by its keys:

1. the first rows of the ordering are looked through, some more than would hold a page if the matching ones lay evenly;
2. if they hold no page, all rows that match are read in the way that is best for the filters, and sorted.

Both are bounded: the first by WALKED_ROWS, the second by the filters, not by the table. The first is left out if it
would cost as much as the second. Of a category, only its own rows are looked through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.sql.where import WhereNode

from config.api.database.statements import Statement
from config.api.problems.errors import SortTooLarge
from config.api.reads.counting import BOUND, GREATEST_COST, read_plan, walk_plan
from config.api.reads.orderings import Keyset
from config.api.reads.runs import Runs

# Pairs of a filter's name (None for a list without filters) and a column, such as ("brand", "price"). The index gives
# the rows of one value of the filter, which has the name of its field.
type IndexServed = frozenset[tuple[str | None, str]]

# A row, and one row after it.
SMALLEST_PAGE = 2
# The planner's cost of reading about 10,000 scattered rows. A plan that costs no more, read to its end, is taken.
TRUSTED_COST = 40_000
# The same of the deepest page of merged rows. They are read from an index alone, about 400,000 of them.
MERGED_COST = 40_000
# So many matching rows are read and sorted in an ordering that no index serves: they take about 10 ms.
SORTED_ROWS = 10_000
# The most rows of the ordering that are looked through for a page. They lie anywhere, and take about 25 ms.
WALKED_ROWS = 10_000
# The same for a page of more rows or further down. They take about 100 ms, as sorting 100,000 that match does.
MOST_WALKED = 40_000
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

    `walked` is the number of them that are looked through. With `runs`, an index has the ordering of each. Without a
    walk the matching rows of the runs are merged, and that is all.
    """

    walk: QuerySet[Any] | None = None
    walked: int = 0
    runs: Runs | None = None

    def reach(self, end: int) -> int:
        """The number of rows to look through for `end` of them, of which the last only tells whether there are more.

        0 if they are too many, and no walk is worth its time. With the rows of a first page alone, a page of
        200 rows, or one further down, would never be there, and all matching rows would be sorted.
        """
        number = self.walked * max(end - 1, PAGE_ROWS) // PAGE_ROWS if self.walk is not None else 0
        return number if number <= MOST_WALKED else 0

    def find_first(self, number: int) -> QuerySet[Any]:
        """The rows that are looked through."""
        assert self.walk is not None
        if self.runs is None:
            return self.walk[:number]
        return show_found(self.walk, self.runs.merge(self.walk, 0, number))


def show_found(rows: QuerySet[Any], keys: RawSQL | None) -> QuerySet[Any]:
    """The rows with these keys, in any order. The keys already say which rows match, so the filters aren't needed."""
    found = rows.order_by()
    found.query.where = WhereNode()
    return found.none() if keys is None else found.filter(pk__in=keys)


def find_steps(rows: QuerySet[Any]) -> Steps | None:
    """The steps of a list of `rows`; None if the planner finds its pages well."""
    return getattr(rows.query, "steps", None)


def choose_steps(
    rows: QuerySet[Any], find_all: Callable[[], QuerySet[Any]], name: str, filters: Sequence[str], served: IndexServed
) -> QuerySet[Any]:
    """`rows` in the ordering `name`, with the steps that find their pages. `find_all` gives them without `filters`.

    At most five EXPLAINs. Raises SortTooLarge if no index serves the ordering, and too many rows match to sort them.
    """
    column = name.lstrip("-")
    if connections[rows.db].vendor != "postgresql":
        return rows
    runs = Runs.of(rows, {narrow for narrow, other in served if narrow and other == column})
    is_several = runs is not None and len(runs.values) > 1
    if len(filters) <= 1 and (filters[0] if filters else None, column) in served and not is_several:
        return rows
    if runs and is_merged_well(rows, runs):
        return take_steps(rows, Steps(runs=runs), {})
    # With all columns, as a page has them, and for the smallest one, for which the planner walks most readily.
    if is_trusted(read_plan(rows[:SMALLEST_PAGE])):
        return rows
    gather = read_plan(find_matching(rows))
    if (None, column) not in served:
        refuse_large_sort(name, gather, {other for narrow, other in served if narrow in (None, *filters)} - {column})
        return take_steps(rows, Steps(), gather)
    everything = find_all().order_by(*rows.query.order_by)
    return take_steps(rows, plan_walk(everything, gather, runs), gather)


def is_merged_well(rows: QuerySet[Any], runs: Runs) -> bool:
    """Whether the greatest page of merged rows reads an index alone, and little of it, wherever the rows lie in it."""
    plan = read_plan(show_found(rows, runs.merge(rows, 0, BOUND)))
    loops = [node for node in walk_plan(plan) if [below.get("Alias") for below in node.get("Plans", ())][:1] == ["run"]]
    return any(is_index_alone(loop) and loop["Total Cost"] <= MERGED_COST for loop in loops)


def is_index_alone(loop: dict[str, Any]) -> bool:
    """Whether a loop over runs reads each by an Index Only Scan up to a limit, with nothing between."""
    [limit] = loop["Plans"][1:]
    return [below["Node Type"] for below in limit.get("Plans", ())] == ["Index Only Scan"]


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


def plan_walk(everything: QuerySet[Any], gather: dict[str, Any], runs: Runs | None = None) -> Steps:
    """The steps of a page, by the planner's estimates of all rows, or all of the runs, and of those that match."""
    within = everything.filter(**{f"{runs.column}__in": runs.values}) if runs else everything
    if runs and is_merged_well(within, runs):
        everything = within
    else:
        runs = None
    [below] = read_plan(everything[:WALKED_ROWS]).get("Plans", [{}])[:1]
    needed = PAGE_ROWS * below.get("Plan Rows", 0) / max(1, gather.get("Plan Rows", 0))
    steps = Steps(everything, min(WALKED_ROWS, int(MARGIN * needed)), runs)
    cost = read_plan(steps.find_first(steps.walked)).get("Total Cost", 0)
    return steps if needed <= WALKED_ROWS and cost < gather.get("Total Cost", 0) else Steps()


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


def find_proof(rows: QuerySet[Any]) -> RawSQL | None:
    """SQL that is false only if something proves that none of `rows` matches; the view's filters give it.

    It names no column, so PostgreSQL asks it once, and reads nothing else if it is false.
    """
    return getattr(rows.query, "may_match", None)


def require_match(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The same rows, for whose statement that SQL is asked first."""
    may_match = find_proof(rows)
    return rows if may_match is None else rows.filter(may_match)


def find_keys(rows: QuerySet[Any], steps: Steps, start: int, end: int) -> RawSQL | None:
    """A subselect of the primary keys of a slice; None if Django knows that no row can match."""
    keys, may_match = list_keys(rows, steps, start, end), find_proof(rows)
    if keys is None or may_match is None:
        return keys
    sql = f"SELECT * FROM ({keys.sql}) listed WHERE {may_match.sql}"  # noqa: S608 (SQL that Django compiled, and ours)
    return RawSQL(sql, (*keys.params, *may_match.params))  # noqa: S611 (the same)


def list_keys(rows: QuerySet[Any], steps: Steps, start: int, end: int) -> RawSQL | None:
    """The same, without asking first whether any row can match."""
    keyset, quote = Keyset.of(rows), connections[rows.db].ops.quote_name
    direction = " DESC" if keyset.descending else ""
    parts = {
        "key": quote(keyset.names[-1]), "order": ", ".join(quote(name) + direction for name in keyset.names),
        "start": start, "end": end, "size": end - start,
    }  # fmt: skip
    matching = Statement.compile(find_matching(rows))
    if matching is None:
        return None
    if steps.walk is None and steps.runs:
        return steps.runs.merge(rows, start, end)
    if not (number := steps.reach(end)):
        return RawSQL(GATHER.format(matching=matching.sql, **parts), matching.parameters)  # noqa: S611 (SQL that Django compiled)
    walked = walk(rows.values(*keyset.names)[:end], steps.find_first(number))
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
