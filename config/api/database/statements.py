"""Compiles a queryset of tuples to a statement that can be run again with other values.

A value that comes with each request is `Given` in the queryset, and a Placeholder among the statement's parameters.
On PostgreSQL the statement is prepared, since planning takes a third of a page's time. Django prepares nothing (its
cursor binds in the client); psycopg does, for each connection, by the statement's text. Page sizes and names are part
of the text, values aren't. `DATABASE_PREPARE=false` turns preparing off, for a PgBouncer before 1.22.

The first column of each row is its JSON text, whose bytes go into the answer unchanged. The other columns order the
rows; only those of a page's first and last row become Python values, for the cursors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from random import getrandbits
from time import monotonic
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, NotSupportedError, OperationalError, ProgrammingError, connections
from django.db.models import Expression, Field, QuerySet

from config.api.database.replicas import find_reader, replace_failed
from config.api.database.time_limits import TimeLimit, end_after
from config.api.problems.errors import DEAR_MS, FilterTooDear, QueryTimeout, SearchTooDear, find_limit

# A full-text search isn't prepared. PostgreSQL must know the word to plan for the number of rows that have it: with a
# plan for any word, a search for a common one read all rows (39 ms instead of 8, 300,000 products).
FULL_TEXT = "::tsquery"
# Nor is a filter by an attribute, for the same reason: with a plan for any color, a category's page reads all products
# of a common one (90 ms of the database instead of 11, a million products).
UNPREPARED = (FULL_TEXT, " @> ")
# The SQL of a search, by which it is recognized. A search may take DEAR_MS: the commonest words are in every row.
SEARCHES = (FULL_TEXT, " MATCH %s")
SEARCH_LIMIT = TimeLimit(DEAR_MS, SearchTooDear, retry_ms=DEAR_MS // 2)

# Of a query with `is_dear` (reads/unserved.py), and of queries that are made of it.
FILTER_LIMIT = TimeLimit(DEAR_MS, FilterTooDear)

type Text = bytes | str
type Values = tuple[Any, ...]


@dataclass(frozen=True)
class Placeholder:
    """Stands for `values[index]` of a run; `field` converts the value for the database."""

    index: int
    field: Field[Any, Any]


class Given(Expression):
    """An expression of a queryset that stands for `values[index]` of a run, a value of `field`."""

    def __init__(self, index: int, field: Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.placeholder = Placeholder(index, field)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", (self.placeholder,)


@dataclass(frozen=True)
class Page:
    """A page's rows, whether there are more, and the values that a cursor at its first and last row holds.

    A statement's rows are JSON texts, and the values are its other columns.
    """

    rows: Sequence[Any] = ()
    has_more: bool = False
    first: Values = ()
    last: Values = ()


# For so many seconds after a row that isn't stored, a statement reads compiled rows at once.
PAUSE = 1.0
UNDEFINED_COLUMN, UNDEFINED_TABLE = "42703", "42P01"
# The numbers in the names of prepared statements are greater.
FIRST_NAME = 2**62
# So many pages of a statement are joined before the server fills in what it knows, and after a page where it couldn't.
# So a flood of writes to brands costs a page in so many, and a list that is asked for twice reads no texts to keep.
JOINED_PAGES = 16


@dataclass
class Unstored:
    """The rows of a statement that reads stored texts, for its pages with a row that isn't stored in this form.

    They are compiled only when such a page comes (config/api/reads/stored.py).
    """

    rows: QuerySet[Any]
    # The stored texts aren't tried until then.
    paused_until: float = 0.0
    joined_pages: int = 0

    @cached_property
    def statement(self) -> Statement | None:
        return Statement.compile_rows(choose_compiled(self.rows))

    def fetch_page(self, size: int, values: Sequence[Any]) -> Page:
        return self.statement.fetch_page(size, values) if self.statement else Page()

    def try_first(self, stored: Statement, size: int, values: Sequence[Any]) -> Page | None:
        """The page by its stored texts; None if one of its rows has none in this release's form."""
        if monotonic() < self.paused_until:
            return None
        if filled := self.try_gaps(size, values):
            return filled
        page = read_stored(partial(stored.read_page, size, values))
        if page is None or None in page.rows:
            self.paused_until = monotonic() + PAUSE
            return None
        return page

    @cached_property
    def with_gaps(self) -> tuple[Statement, Any] | None:
        """The statement that leaves gaps, and what fills them (config/api/reads/kept_texts.py)."""
        chosen, gaps = choose_gapped(self.rows)
        statement = Statement.compile_rows(chosen) if gaps else None
        return (statement, gaps) if statement else None

    def try_gaps(self, size: int, values: Sequence[Any]) -> Page | None:
        """The page with what the server knows in its gaps; None if it must be joined."""
        if size == 1:
            return None  # to join one row costs less than to look at the states
        self.joined_pages += 1
        if self.joined_pages <= JOINED_PAGES or self.with_gaps is None:
            return None
        statement, gaps = self.with_gaps
        page = read_stored(partial(statement.read_page, size, values))
        rows = None if page is None or None in page.rows else gaps.fill(page.rows)
        if page is None or rows is None:
            self.joined_pages = 0
            return None
        return replace(page, rows=rows)


def read_stored[Found](read: Callable[[], Found]) -> Found | None:
    """What `read` gives; None if the table has no stored texts: before the migration, or on a replica behind it."""
    try:
        return read()
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) not in (UNDEFINED_COLUMN, UNDEFINED_TABLE):
            raise
        return None


def choose_compiled(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The same rows, but none of them by its stored text; `rows` themselves if they don't read stored texts."""
    annotations = rows.query.annotations
    compiled = {name: shown.compiled for name, shown in annotations.items() if hasattr(shown, "compiled")}
    if not compiled:
        return rows
    chosen = rows.all()
    chosen.query.annotations = annotations | compiled
    return chosen


def choose_gapped(rows: QuerySet[Any]) -> tuple[QuerySet[Any], Any]:
    """The same rows, with gaps and without the joins of what fills them; and the gaps, or None if they have none."""
    annotations: dict[str, Any] = rows.query.annotations
    found = {name: shown for name, shown in annotations.items() if getattr(shown, "gaps", None)}
    chosen = rows.all()
    for name, shown in found.items():
        gapped = shown.gapped
        chosen.query.annotations = chosen.query.annotations | {name: gapped}
        for column in set(shown.columns) - set(gapped.columns):
            drop_join(chosen.query, column.alias)
    return chosen, next((shown.gaps for shown in found.values()), None)


def drop_join(query: Any, alias: str) -> None:
    """Take back one use of a joined table, and of those on the way. Django leaves out tables without a use."""
    while parent := getattr(query.alias_map[alias], "parent_alias", None):
        query.unref_alias(alias)
        alias = parent


@dataclass(frozen=True)
class Statement:
    """Compiled SQL; `converters` are Django's converters of this database's columns, by column number."""

    database: str
    sql: str
    parameters: tuple[Any, ...]
    converters: Mapping[int, Any]
    time_limit: TimeLimit | None = None
    unstored: Unstored | None = None

    @classmethod
    def compile(cls, rows: QuerySet[Any]) -> Statement | None:
        """The statement of `rows`; None if Django knows without a query that no row can match."""
        statement = cls.compile_rows(rows)
        reads_stored = any(hasattr(shown, "compiled") for shown in rows.query.annotations.values())
        return replace(statement, unstored=Unstored(rows)) if statement and reads_stored else statement

    @classmethod
    def compile_rows(cls, rows: QuerySet[Any]) -> Statement | None:
        compiler = rows.query.get_compiler(rows.db)
        try:
            sql, parameters = compiler.as_sql()
        except EmptyResultSet:
            return None
        converters = compiler.get_converters([column for column, _, _ in compiler.select])
        limit = find_time_limit(sql) or (FILTER_LIMIT if getattr(rows.query, "is_dear", False) else None)
        return cls(rows.db, sql, tuple(parameters), converters, limit)

    def count(self, time_limit: TimeLimit | None = None) -> Statement:
        """A statement that counts the rows of this one."""
        sql = f"SELECT count(*) FROM ({self.sql}) counted"  # noqa: S608 (SQL that Django compiled)
        return Statement(self.database, sql, self.parameters, {}, time_limit)

    def fetch_page(self, size: int, values: Sequence[Any] = ()) -> Page:
        """A page of at most `size` rows. If the statement gives one row more, the page has `has_more`."""
        if self.unstored is None:
            return self.read_page(size, values)
        page = self.unstored.try_first(self, size, values)
        return self.unstored.fetch_page(size, values) if page is None else page

    def read_page(self, size: int, values: Sequence[Any]) -> Page:
        with self.run(values) as cursor:
            prepared = getattr(cursor, "pgresult", None)
            return self.read_prepared(cursor, prepared, size) if prepared else self.read_rows(cursor.fetchall(), size)

    def fetch_number(self) -> int:
        with self.run() as cursor:
            return int(cursor.fetchone()[0])

    def read_prepared(self, cursor: Any, result: Any, size: int) -> Page:
        number = min(result.ntuples, size)
        if not number:
            return Page()
        texts = [result.get_value(index, 0) for index in range(number)]
        first = cursor.fetchone()
        cursor.scroll(number - 1, "absolute")
        return Page(texts, result.ntuples > size, first[1:], cursor.fetchone()[1:])

    def read_rows(self, rows: Sequence[Values], size: int) -> Page:
        if not rows:
            return Page()
        page = rows[:size]
        return Page([row[0] for row in page], len(rows) > size, self.convert(page[0])[1:], self.convert(page[-1])[1:])

    def convert(self, row: Values) -> Values:
        connection, values = connections[self.database], list(row)
        for index, (converters, column) in self.converters.items():
            for converter in converters:
                values[index] = converter(values[index], column, connection)
        return tuple(values)

    @contextmanager
    def run(self, values: Sequence[Any] = ()) -> Iterator[Any]:
        """A cursor over the rows. If the connection was lost, the statement runs again on a new one, once."""
        connection: Any = connections[find_reader()]
        parameters = self.fill(connection, values)
        try:
            cursor = self.execute(connection, parameters)
        except OperationalError as error:
            if self.time_limit and find_limit(error) is QueryTimeout:
                cursor = self.retry(connection, parameters, self.time_limit, error)
            else:
                cursor = self.execute(self.replace(connection, error), parameters)
        with cursor:
            yield cursor

    def retry(self, connection: Any, parameters: Sequence[Any], limit: TimeLimit, error: OperationalError) -> Any:
        """A cursor of a second try. Raises the limit's error if there is none, or it takes too long as well."""
        if not limit.retry_ms or connection.vendor != "postgresql":
            raise limit.refuse() from error
        try:
            with end_after(connection, limit.retry_ms, by_indexes=True):
                return execute(connection.cursor(), self.sql, parameters)
        except OperationalError as again:
            raise limit.refuse() from again

    def replace(self, connection: Any, error: OperationalError) -> Any:
        """The connection to try after a read failed: the primary's for a replica's, a new one for a lost one."""
        if connection.alias == DEFAULT_DB_ALIAS:
            # Only now is the connection checked: Django would do it before each request, a round trip each time.
            if connection.in_atomic_block or connection.is_usable():
                raise error
            connection.close()
        return connections[replace_failed(connection.alias, error)]

    def fill(self, connection: Any, values: Sequence[Any]) -> Sequence[Any]:
        if not values:
            return self.parameters
        return [
            part.field.get_db_prep_value(values[part.index], connection) if isinstance(part, Placeholder) else part
            for part in self.parameters
        ]

    def execute(self, connection: Any, parameters: Sequence[Any]) -> Any:
        limit = self.time_limit
        with end_after(connection, limit.milliseconds) if limit else nullcontext():
            if any(sign in self.sql for sign in UNPREPARED):
                return execute(connection.cursor(), self.sql, parameters)
            return execute_prepared(connection, self.sql, parameters)


def find_time_limit(sql: str) -> TimeLimit | None:
    return SEARCH_LIMIT if any(search in sql for search in SEARCHES) else None


def execute_prepared(connection: Any, sql: str, parameters: Sequence[Any]) -> Any:
    """A cursor over the rows of a SELECT, which is prepared at its first use on the connection."""
    try:
        return execute(open_cursor(connection), sql, parameters)
    except NotSupportedError:
        # "cached plan must not change result type": a migration has changed a column since it was prepared.
        if connection.in_atomic_block or connection.vendor != "postgresql":
            raise
        connection.connection.execute("DEALLOCATE ALL")  # psycopg notices, and prepares it again the next time
        # Without preparing: a PgBouncer may still have the old statement.
        return execute(connection.cursor(), sql, parameters)


def fetch_row(connection: Any, sql: str, parameters: Sequence[Any]) -> Any:
    """The first row of a prepared SELECT; None if there is none."""
    with execute_prepared(connection, sql, parameters) as cursor:
        return cursor.fetchone()


def execute(cursor: Any, sql: str, parameters: Sequence[Any]) -> Any:
    try:
        cursor.execute(sql, parameters)
    except BaseException:
        cursor.close()
        raise
    return cursor


class PreparedCursor(psycopg.Cursor[Any]):
    """psycopg's own cursor, which prepares a statement at its first use; Django's wrappers go around it."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        return super().execute(query, params, prepare=True)


def open_cursor(connection: Any) -> Any:
    """A cursor that prepares, if that is possible, within Django's wrappers, which observe and translate errors."""
    if connection.vendor != "postgresql" or not settings.DATABASE_PREPARE:
        return connection.cursor()
    connection.ensure_connection()
    name_apart(connection.connection)
    return connection._prepare_cursor(PreparedCursor(connection.connection))


def name_apart(driver: Any) -> None:
    """Give the connection's statements names that no other has.

    psycopg counts them from 0. A PgBouncer before 1.22 passes a connection the session of another one, whose statement
    of the same name would run instead: its rows would be the answer.
    """
    if driver._prepared._prepared_idx < FIRST_NAME:
        driver._prepared._prepared_idx = FIRST_NAME + getrandbits(62)
