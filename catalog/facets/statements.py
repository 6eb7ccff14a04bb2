"""Sets of rows and facets in, the one statement out that counts all of them; and what it found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from catalog.facets import counts
from catalog.facets.counts import Read, RowSet
from catalog.facets.dialects import DIALECTS, SCATTER, Dialect
from catalog.facets.kinds import Facet, PriceFacet, Value
from config.api.database.statements import Statement
from config.api.database.time_limits import TimeLimit
from config.api.problems.errors import DEAR_MS, FacetsTooDear

# The ids of the whole table, and how many of them one drawn id stands for.
SPAN = """
WITH RECURSIVE span AS MATERIALIZED (
    SELECT min(id) AS low, max(id) AS high, (max(id) - min(id)) / {draws} + 1 AS step FROM catalog_product
),{drawing}"""

# No id is drawn: as if each stood for more rows than there are.
NO_SPAN = """
WITH RECURSIVE span AS MATERIALIZED (
    SELECT 1 AS low, 0 AS high, 4611686018427387904 AS step
),{drawing}"""

# `first` and `drawn` are 1 or 0. Nothing is drawn unless there are more rows than are read first.
ROWS = """
first{number} AS MATERIALIZED (SELECT {columns} FROM ({rows}) m LIMIT {most} + 1),
more{number} AS MATERIALIZED (
    SELECT {columns} FROM ({rows}) m
    WHERE (SELECT count(*) FROM first{number}) > {most} AND m.id IN (SELECT id FROM draws)
),
rows{number} AS (
    SELECT 1 AS first, 0 AS drawn, f.* FROM first{number} f UNION ALL SELECT 0, 1, m.* FROM more{number} m
)"""

# The first lines of the result: how each set was read.
HEAD = """
SELECT -1 AS facet, CAST({number} AS text) AS value, '' AS label, count(*) AS first, (SELECT step FROM span) AS drawn,
       0 AS found, 0 AS place FROM first{number}"""
ENDS = """
SELECT -2, CAST(min(price) AS text), CAST(max(price) AS text), 0, 0, 0, 0 FROM {rows}"""

VALUES = """
SELECT {facet}, value, label, first, drawn, found, place FROM (
    SELECT value, label, rank, first, drawn, count(*) OVER () AS found,
           row_number() OVER (ORDER BY drawn DESC, first DESC, rank) AS place
    FROM ({values}) counted
) placed WHERE place <= {size}{chosen}"""


@dataclass(frozen=True)
class Source:
    """Rows without an order, and the facets that are counted among them."""

    rows: QuerySet[Any]
    facets: list[Facet]

    @property
    def columns(self) -> list[str]:
        return sorted({"id", *(column for facet in self.facets for column in facet.columns)})


@dataclass(frozen=True)
class Found:
    """What a facets statement found: the values of each facet, how its rows were read, and the ends of all prices."""

    values: dict[str, list[Value]]
    sets: dict[str, RowSet]
    ends: tuple[str | None, str | None] = (None, None)


# Drawing has a part of the time that an answer may take. If it isn't enough, the rows are read without drawing.
DRAWING_LIMIT = TimeLimit(100, FacetsTooDear)
READING_LIMIT = TimeLimit(DEAR_MS - DRAWING_LIMIT.milliseconds, FacetsTooDear)


@dataclass(frozen=True)
class FacetStatement:
    """`reading` is `drawing` without drawn rows, so that more of its counts are lower bounds."""

    sources: Sequence[Source]
    drawing: Statement
    reading: Statement

    @classmethod
    def compile(cls, sources: Sequence[Source], size: int) -> FacetStatement:
        """`size` is the most values of each facet, beside those that are chosen."""
        database = sources[0].rows.db
        writer = Writer(DIALECTS[connections[database].vendor], size)
        statements = [
            Statement(database, sql, tuple(parameters), {}, limit)
            for span, limit in ((SPAN, DRAWING_LIMIT), (NO_SPAN, READING_LIMIT))
            for sql, parameters in [writer.write(sources, span)]
        ]
        return cls(sources, *statements)

    def fetch(self) -> Found:
        """One round trip, or two if drawing takes too long. Raises FacetsTooDear if reading does, too."""
        try:
            return self.read(self.drawing)
        except FacetsTooDear:
            return self.read(self.reading)

    def read(self, statement: Statement) -> Found:
        with statement.run() as cursor:
            lines = sorted(cursor.fetchall(), key=lambda line: (line[0], line[-1]))
        values = {
            facet.name: [read_value(line) for line in lines if line[0] == place]
            for place, (_, facet) in enumerate(list_facets(self.sources))
        }
        sets = dict(self.read_sets(lines))
        ends = [(line[1], line[2]) for line in lines if line[0] == -2]
        return Found(values, sets, *ends)

    def read_sets(self, lines: Sequence[Any]) -> Iterator[tuple[str, RowSet]]:
        heads = {line[1]: RowSet(line[3] <= counts.MOST_READ, int(line[4] or 1)) for line in lines if line[0] == -1}
        for number, source in enumerate(self.sources):
            yield from ((facet.name, heads[str(number)]) for facet in source.facets)


def read_value(line: Sequence[Any]) -> Value:
    _, value, label, first, drawn, found, _ = line
    return Value(value, label, Read(int(first), int(drawn)), int(found))


@dataclass(frozen=True)
class Writer:
    dialect: Dialect
    size: int

    def write(self, sources: Sequence[Source], span: str) -> tuple[str, list[Any]]:
        drawing = self.dialect.draws.format(scatter=SCATTER)
        tables, parameters = [span.format(draws=counts.DRAWS, drawing=drawing)], list[Any]()
        selects = [HEAD.format(number=number) for number in range(len(sources))]
        for number, source in enumerate(sources):
            sql, values = compile_rows(source)
            columns = ", ".join(source.columns)
            tables.append(ROWS.format(number=number, rows=sql, columns=columns, most=counts.MOST_READ))
            parameters += [*values, *values]
        for place, (rows, facet) in enumerate(list_facets(sources)):
            sql, keys = self.write_facet(facet, rows, place)
            selects += [sql, *([ENDS.format(rows=rows)] if isinstance(facet, PriceFacet) else [])]
            parameters += keys
        return ",".join(tables) + "\nUNION ALL".join(selects), parameters

    def write_facet(self, facet: Facet, rows: str, place: int) -> tuple[str, Sequence[Any]]:
        marks = ", ".join(["%s"] * len(facet.keys))
        chosen = f" OR {facet.key} IN ({marks})" if facet.keys else ""
        size = max(self.size, facet.least_size)
        values = facet.count_values(rows, self.dialect)
        return VALUES.format(facet=place, values=values, size=size, chosen=chosen), facet.keys


def list_facets(sources: Sequence[Source]) -> Iterator[tuple[str, Facet]]:
    """Each facet, and the table that it is counted in."""
    for number, source in enumerate(sources):
        yield from ((f"rows{number}", facet) for facet in source.facets)


def compile_rows(source: Source) -> tuple[str, tuple[Any, ...]]:
    rows = source.rows.order_by()
    # If Django knows that no row matches, it compiles nothing. No product has an id below 0.
    none = rows.model._default_manager.filter(pk__lt=0)
    statement = Statement.compile(rows.values(*source.columns)) or Statement.compile(none.values(*source.columns))
    assert statement is not None
    return statement.sql, statement.parameters
