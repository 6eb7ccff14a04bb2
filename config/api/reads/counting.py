"""Counts the rows of a queryset: exactly, up to a bound, or as the planner estimates."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connections
from django.db.models import Count as CountOf
from django.db.models import Expression, IntegerField, QuerySet, Window

from config.api.database.statements import Statement, find_time_limit
from config.api.database.time_limits import TimeLimit
from config.api.problems.errors import DEAR_MS, CountTooDear

BOUND = 10_000

# The planner's cost of a count that takes DEAR_MS. On two shared cores, 130 to 310 units of cost took a millisecond.
GREATEST_COST = 200 * DEAR_MS
EXACT_LIMIT = TimeLimit(DEAR_MS, CountTooDear)

type Count = tuple[int, str]  # the number and its relation: eq, gte or approx

WAYS = ("none", "bounded", "exact", "estimated")


class CountUpTo(Expression):
    """The number of `rows`, or most + 1 if there are more. It is a column of the statement that reads a page of them.

    The SQL first checks whether there is a row past `most`: that takes 0.57 ms at 10,000 rows, and a count up to there
    0.76 ms. A count of fewer rows takes hardly any time. Only the rows of a search, and those that no index finds, take
    as long to check as to count.
    """

    def __init__(self, rows: QuerySet[Any], most: int) -> None:
        super().__init__(output_field=IntegerField())
        self.statement, self.most = Statement.compile(strip_rows(rows)), most

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        if self.statement is None:
            return "0", ()
        sql, parameters = self.statement.sql, self.statement.parameters
        if self.statement.time_limit:
            return f"(SELECT count(*) FROM ({sql} LIMIT {self.most + 1}) counted)", tuple(parameters)  # noqa: S608 (SQL that Django compiled)
        more = f"EXISTS ({sql} LIMIT 1 OFFSET {self.most})"
        # The LIMIT never changes the result. Without it the planner's cost for 5 million rows started PostgreSQL's
        # just-in-time compiler, which took 30 ms.
        count = f"(SELECT count(*) FROM ({sql} LIMIT {self.most}) counted)"  # noqa: S608 (SQL that Django compiled)
        return f"(CASE WHEN {more} THEN {self.most + 1} ELSE {count} END)", (*parameters, *parameters)


def count_first(rows: QuerySet[Any], most: int) -> Expression:
    """The bounded count of `rows` as a column of their first page.

    The hits of a search are few and all of them are read to be ranked, so PostgreSQL counts them on the way. Finding
    them once more took as long as the page: 33 ms of 70, a million products. SQLite would make each row's JSON first.
    """
    count = CountUpTo(rows, most)
    is_search = count.statement is not None and find_time_limit(count.statement.sql) is not None
    return Window(CountOf("*")) if is_search and connections[rows.db].vendor == "postgresql" else count


def compile_count(rows: QuerySet[Any], most: int | None) -> Statement | None:
    """A statement that counts `rows`, up to most + 1; None if Django knows that no row can match."""
    if most is None:
        statement = Statement.compile(strip_rows(rows))
        return statement and statement.count(EXACT_LIMIT)
    count = CountUpTo(rows, most)
    sql, parameters = count.as_sql(None, None)
    limit = count.statement.time_limit if count.statement else None
    return Statement(rows.db, f"SELECT {sql}", parameters, {}, limit)


def refuse_dear_count(rows: QuerySet[Any]) -> None:
    """Raise CountTooDear if the planner expects an exact count of `rows` to take longer than DEAR_MS."""
    if connections[rows.db].vendor != "postgresql":
        return
    if read_plan(strip_rows(rows)).get("Total Cost", 0) > GREATEST_COST:
        raise CountTooDear


def name_count(number: int, most: int | None) -> Count:
    """The count and its relation, from a number that was counted up to most + 1."""
    return (most, "gte") if most and number > most else (number, "eq")


def count_at_most(rows: QuerySet[Any], limit: int) -> int:
    """The number of rows, or limit + 1 if there are more."""
    return strip_rows(rows)[: limit + 1].count()


def count_each(rows: Sequence[QuerySet[Any]], most: int) -> list[int]:
    """The number of rows of each queryset, or most + 1 if there are more; one statement."""
    columns = [CountUpTo(each, most).as_sql(None, None) for each in rows]
    sql, parameters = ", ".join(column for column, _ in columns), [value for _, values in columns for value in values]
    with Statement(rows[0].db, f"SELECT {sql}", tuple(parameters), {}).run() as cursor:
        return [int(number) for number in cursor.fetchone()]


def estimate_rows(rows: QuerySet[Any]) -> Count:
    """The planner's estimate, which may be very wrong after a bulk load. SQLite has no estimate, so it counts."""
    if connections[rows.db].vendor != "postgresql":
        return strip_rows(rows).count(), "eq"
    plan = read_plan(strip_rows(rows))
    return int(plan.get("Plan Rows", 0)), "approx"


def read_plan(rows: QuerySet[Any]) -> dict[str, Any]:
    """The top node of PostgreSQL's plan; empty if Django knows without a query that no row can match."""
    text = rows.explain(format="json")
    return json.loads(text)[0]["Plan"] if text else {}


def walk_plan(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from walk_plan(below)


def strip_rows(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Only the keys of the rows: a count needs no order and no projection."""
    return rows.order_by().values("pk")
