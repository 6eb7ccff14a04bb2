"""Sets of rows and facets in, the one statement out that counts all of them; and what it found."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from catalog.facets import counts
from catalog.facets.counts import Read, RowSet
from catalog.facets.dialects import DIALECTS, SCATTER, Dialect
from catalog.facets.kinds import Facet, PriceFacet, Value
from catalog.tallies.reading import write_uncounted
from config.api.database.statements import Statement, find_time_limit
from config.api.database.time_limits import TimeLimit
from config.api.problems.errors import DEAR_MS, FacetsTooDear
from config.api.reads.projection import quote_text

# The ids of the whole table, how many of them one drawn id stands for, and the drawn rows that any set has.
SAMPLE = """
WITH RECURSIVE span AS MATERIALIZED (
    SELECT min(id) AS low, max(id) AS high, (max(id) - min(id)) / {draws} + 1 AS step FROM catalog_product
),{drawing},
sample AS MATERIALIZED (SELECT {columns} FROM draws JOIN ({visible}) v USING (id))"""

# `first` and `drawn` are 1 or 0. No row is drawn unless there are more than are read first.
READ_ROWS = """
first{number} AS MATERIALIZED (SELECT {columns} FROM ({rows}) m LIMIT {most} + 1),
more{number} AS MATERIALIZED (
    SELECT {columns} FROM ({drawn}) m WHERE (SELECT count(*) FROM first{number}) > {most}
),
rows{number} AS NOT MATERIALIZED (
    SELECT 1 AS first, 0 AS drawn, f.* FROM first{number} f UNION ALL SELECT 0, 1, m.* FROM more{number} m
)"""
# The same without what is read first: only drawn rows.
DRAWN_ROWS = """
rows{number} AS MATERIALIZED (SELECT 0 AS first, 1 AS drawn, m.* FROM ({drawn}) m)"""

# The first lines of the result: how each set was read, the ends of all prices, and what tallies don't count in full.
HEAD = """
SELECT -1 AS facet, CAST({number} AS text) AS value, '' AS label, {first} AS first, (SELECT step FROM span) AS drawn,
       0 AS found, 0 AS place"""
ENDS = """
SELECT -2 AS facet, low AS value, high AS label, 0 AS first, 0 AS drawn, 0 AS found, 0 AS place FROM ({ends}) ends"""
UNCOUNTED = """
SELECT -3 AS facet, kind AS value, '' AS label, 0 AS first, 0 AS drawn, 0 AS found, 0 AS place FROM ({kinds}) u"""

VALUES = """
SELECT {facet} AS facet, value, label, first, drawn, found, place FROM (
    SELECT value, label, rank, first, drawn, count(*) OVER () AS found,
           row_number() OVER (ORDER BY drawn DESC, first DESC, rank) AS place
    FROM ({values}) counted
) placed WHERE place <= {size}{chosen}"""


PRODUCTS, DRAWN_PRODUCTS = 'FROM "catalog_product"', 'FROM sample "catalog_product"'
COLUMN = re.compile(r'"catalog_product"\."(\w+)"')


@dataclass(frozen=True)
class Source:
    """Rows without an order, and the facets that are counted among them, or by tallies of the same rows."""

    rows: QuerySet[Any]
    facets: list[Facet]

    @property
    def read(self) -> list[Facet]:
        """The facets for which rows are read."""
        return [facet for facet in self.facets if not facet.scope]

    @property
    def columns(self) -> list[str]:
        return sorted({"id", *(column for facet in self.read for column in facet.columns)})

    def without_tallies(self, kinds: Collection[str]) -> Source:
        return Source(self.rows, [replace(one, scope=()) if one.kind in kinds else one for one in self.facets])


@dataclass(frozen=True)
class Found:
    """What a facets statement found.

    `values` of each facet; how its rows were read; the ends of all prices; the kinds of tallies that lack values.
    """

    values: dict[str, list[Value]]
    sets: dict[str, RowSet]
    ends: tuple[str | None, str | None]
    uncounted: frozenset[str]


@dataclass(frozen=True)
class Way:
    """A way to read rows. `rows` is the SQL of a set of rows, whose own SQL stands `times` times in it.

    `first` is SQL for how many were read first. One in `share` of counts.DRAWS rows is drawn.
    """

    rows: str
    times: int
    first: str
    share: int
    limit: TimeLimit | None


# Reading rows has a part of the time that an answer may take. If it isn't enough, only drawn rows are read, a quarter
# as many. They take the same time whatever the filters are. If a busy database has no time for these either, there are
# a tenth of them, 1,000, without a limit; then few counts are more than `gte`.
READING = Way(READ_ROWS, 2, "(SELECT count(*) FROM first{number})", 1, TimeLimit(100, FacetsTooDear))
DRAWING = Way(DRAWN_ROWS, 1, "{most} + 1", 4, TimeLimit(DEAR_MS - 100, FacetsTooDear))  # as if there were more
GLIMPSE = Way(DRAWN_ROWS, 1, "{most} + 1", 40, None)
WAYS = (READING, DRAWING, GLIMPSE)
# But a search is limited, since it takes its time however few rows are drawn.
SEARCH_LIMIT = TimeLimit(DEAR_MS, FacetsTooDear)


@dataclass(frozen=True)
class FacetStatement:
    """`visible` are all rows that the caller sees. Each of `statements` takes less time than the one before."""

    sources: Sequence[Source]
    visible: QuerySet[Any]
    size: int
    statements: Sequence[Statement]
    # The same without tallies of some kinds.
    others: dict[frozenset[str], FacetStatement] = field(default_factory=dict)

    @classmethod
    def compile(cls, sources: Sequence[Source], visible: QuerySet[Any], size: int) -> FacetStatement:
        """`size` is the most values of each facet, beside those that are chosen."""
        database = visible.db
        writer = Writer(DIALECTS[connections[database].vendor], size, sources, visible)
        if not writer.reads_rows:  # tallies take a few milliseconds at any size
            return cls(sources, visible, size, [Statement(database, *writer.write(READING), {})])
        written = [(writer.write(way), way.limit) for way in WAYS]
        statements = [
            Statement(database, sql, values, {}, limit or (find_time_limit(sql) and SEARCH_LIMIT))
            for (sql, values), limit in written
        ]
        return cls(sources, visible, size, statements)

    def fetch(self) -> Found:
        """One round trip, or more if reading takes too long. Raises FacetsTooDear if a search is too dear."""
        found = self.run_quickest(list(self.statements))
        return self.without_tallies(found.uncounted).fetch() if found.uncounted else found

    def run_quickest(self, statements: list[Statement]) -> Found:
        """The result of the first of them that isn't too dear."""
        try:
            return self.run(statements[0])
        except FacetsTooDear:
            if not statements[1:]:
                raise
            return self.run_quickest(statements[1:])

    def without_tallies(self, kinds: frozenset[str]) -> FacetStatement:
        if kinds not in self.others:
            sources = [source.without_tallies(kinds) for source in self.sources]
            self.others[kinds] = self.compile(sources, self.visible, self.size)
        return self.others[kinds]

    def run(self, statement: Statement) -> Found:
        with statement.run() as cursor:
            lines = sorted(cursor.fetchall(), key=lambda line: (line[0], line[-1]))
        values = {
            facet.name: [read_value(line) for line in lines if line[0] == place]
            for place, (_, facet) in enumerate(list_facets(self.sources))
        }
        [ends] = [(line[1], line[2]) for line in lines if line[0] == -2] or [(None, None)]
        uncounted = frozenset(line[1] for line in lines if line[0] == -3)
        return Found(values, dict(self.read_sets(lines)), ends, uncounted)

    def read_sets(self, lines: Sequence[Any]) -> Iterator[tuple[str, RowSet]]:
        heads = {line[1]: RowSet(line[3] <= counts.MOST_READ, int(line[4] or 1)) for line in lines if line[0] == -1}
        for number, source in enumerate(self.sources):
            yield from ((facet.name, RowSet() if facet.scope else heads[str(number)]) for facet in source.facets)


def read_value(line: Sequence[Any]) -> Value:
    _, value, label, first, drawn, found, _ = line
    return Value(value, label, Read(int(first), int(drawn)), int(found))


@dataclass(frozen=True)
class Writer:
    dialect: Dialect
    size: int
    sources: Sequence[Source]
    visible: QuerySet[Any]

    @property
    def reads_rows(self) -> bool:
        return any(source.read for source in self.sources)

    def write(self, way: Way) -> tuple[str, tuple[Any, ...]]:
        """The SQL and its parameters."""
        tables, parameters, selects = list[str](), list[Any](), list[str]()
        if self.reads_rows:
            columns = self.list_columns()
            sql, values = compile_rows(self.visible, columns)
            drawing = self.dialect.draws.format(scatter=SCATTER)
            sample = SAMPLE.format(
                draws=max(1, counts.DRAWS // way.share), drawing=drawing, columns=", ".join(columns), visible=sql
            )
            tables.append(sample)
            parameters += values
        for number, source in enumerate(self.sources):
            if source.read:
                sql, parts = self.write_source(source, number, way)
                tables.append(sql)
                parameters += parts
                first = way.first.format(number=number, most=counts.MOST_READ)
                selects.append(HEAD.format(number=number, first=first))
        for place, (rows, facet) in enumerate(list_facets(self.sources)):
            sql, parts = self.write_facet(facet, rows, place)
            selects.append(sql)
            parameters += parts
            if isinstance(facet, PriceFacet):
                selects.append(ENDS.format(ends=facet.write_ends(rows)))
        lacking = [facet for _, facet in list_facets(self.sources) if facet.scope and facet.may_lack]
        if lacking:
            selects.append(UNCOUNTED.format(kinds=write_uncounted(quote_text(facet.kind) for facet in lacking)))
        return ",".join(tables) + "\nUNION ALL".join(selects), tuple(parameters)

    def write_source(self, source: Source, number: int, way: Way) -> tuple[str, tuple[Any, ...]]:
        sql, values = compile_rows(source.rows, source.columns)
        drawn, columns = sql.replace(PRODUCTS, DRAWN_PRODUCTS, 1), ", ".join(source.columns)
        rows = way.rows.format(number=number, rows=sql, drawn=drawn, columns=columns, most=counts.MOST_READ)
        return rows, values * way.times

    def list_columns(self) -> list[str]:
        """Those of products that the facets and the filters of all sources read."""
        named = {column for source in self.sources for column in source.columns}
        for source in self.sources:
            named |= set(COLUMN.findall(compile_rows(source.rows, ["id"])[0]))
        return sorted(named)

    def write_facet(self, facet: Facet, rows: str, place: int) -> tuple[str, tuple[Any, ...]]:
        marks = ", ".join(["%s"] * len(facet.keys))
        chosen = f" OR {facet.key} IN ({marks})" if facet.keys else ""
        size = max(self.size, facet.least_size)
        values = facet.count_values(rows, self.dialect)
        return VALUES.format(facet=place, values=values, size=size, chosen=chosen), tuple(facet.keys)


def list_facets(sources: Sequence[Source]) -> Iterator[tuple[str, Facet]]:
    """Each facet, and the table that it is counted in."""
    for number, source in enumerate(sources):
        yield from ((f"rows{number}", facet) for facet in source.facets)


def compile_rows(rows: QuerySet[Any], columns: Sequence[str]) -> tuple[str, tuple[Any, ...]]:
    # If Django knows that no row matches, it compiles nothing. No product has an id below 0.
    none = rows.model._default_manager.filter(pk__lt=0)
    chosen = (rows.order_by().values(*columns), none.values(*columns))
    statement = next(found for found in map(Statement.compile, chosen) if found)
    return statement.sql, statement.parameters
