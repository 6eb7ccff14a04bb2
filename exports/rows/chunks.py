"""A query in, chunks of encoded rows out: by primary key, each one short bounded query and nothing open between two.

The database writes the bytes. On PostgreSQL a CSV chunk is `COPY (SELECT cells …) TO STDOUT` and an NDJSON chunk one
text, joined there (COPY would escape the backslashes in JSON); on SQLite the JSON of each row is joined here, and CSV
is written from it. No server-side cursor: it would pin a connection for as long as the client reads, and breaks behind
PgBouncer. A row that is there from the beginning to the end is in exactly one chunk, whatever comes and goes beside it.

What else stands on this (jobs):

    query = make_query("products", user, parameters, "csv")   # refuses as the streams do, by ApiError
    lowest, highest = find_ends(query)                        # ids of the whole table; (0, 0) where it is empty
    for chunk in read_chunks(query, after, upto): …           # ids > after and <= upto, in the order of ids

Parts of an export are any ranges of ids that follow upon each other: `(after, upto]` and `(upto, next]`. The bytes of
their chunks, one after the other behind `query.format.begin_file(query.columns)`, are the bytes of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from io import BytesIO
from typing import Any

import orjson
import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.models import F, QuerySet
from django.http import QueryDict

from config.api.database.ahead import call_ahead
from config.api.database.replicas import choose_database, replace_failed
from config.api.problems.errors import InvalidParameter
from config.api.reads import projection
from config.api.reads.filtering import narrow_rows
from config.api.reads.parameters import read_choice, read_names
from config.api.reads.projection import COLUMN
from config.api.reads.resources import RESOURCES, Caller, Resource
from config.api.reads.selections import ReadSerializer, Selection, read_selection
from config.metrics import count_all
from exports.formats.encoders import FORMATS, Column, Csv, Format, list_columns, write_csv
from exports.rows.cells import compile_cells

# The first chunk is small, so that the first byte comes at once.
FIRST_ROWS = 500
# How many bytes a chunk should have: so many rows are read as made as many in the last one.
CHUNK_BYTES = 2 * 1024 * 1024
# However narrow the rows are.
GREATEST_ROWS = 20_000
# And how many ids a chunk looks at, where filters keep few rows: a query stays a matter of fractions of a second.
GREATEST_SPAN = 500_000

# The alias of the connection: the same database, with limits of its own.
DATABASE = "exports"


@dataclass(frozen=True)
class Query:
    """What is exported: which rows (filtered, and only what the caller may see), in which shape and format.

    `origin` is what addresses in the rows begin with, `https://shop.example`; without it they have no host.
    """

    resource: Resource
    rows: QuerySet[Any]
    serializer: ReadSerializer
    selection: Selection
    format: type[Format]
    raw: bool = False
    origin: str = ""
    # How far a replica must have come to be asked.
    least: int = 0

    @cached_property
    def columns(self) -> list[Column]:
        """Names and kinds, in the order of a CSV row's cells."""
        return list_columns(self.serializer, self.selection)

    @property
    def vendor(self) -> str:
        return connections[self.rows.db].vendor


@dataclass(frozen=True)
class Chunk:
    """Whole lines of a file, without header and trailer; `last_id` is how far the table has been read.

    `data` may be empty where filters keep nothing of what was looked at.
    """

    data: bytes
    rows: int
    last_id: int


# -- what is asked -----------------------------------------------------------------------------------------------


def make_query(name: str, caller: Caller, parameters: QueryDict, format_: str, origin: str = "") -> Query:
    """The rows of the resource `name` that `parameters` ask for: the list's own (filters, `fields`, …), and `raw`.

    A value that can't be is an ApiError that names it. Whether the caller has `resource.right`, and which names are
    known, is asked before; filters by category, attribute and search cost a query each.
    """
    resource, kind = RESOURCES[name], FORMATS[format_]
    serializer = resource.choose_shape(caller)
    selection = read_selection(parameters, serializer, detail=False)
    if not kind.has_nested:
        selection = flatten(selection, parameters, resource, kind)
    rows = narrow_rows(resource.filters, parameters, resource.select_rows(caller).using(DATABASE))
    resource.check_rows(rows, parameters)
    raw = read_choice(parameters, "raw", ("0", "1")) == "1"
    return Query(resource, rows.order_by(), serializer, selection, kind, raw, origin)


def flatten(selection: Selection, parameters: QueryDict, resource: Resource, kind: type[Format]) -> Selection:
    """The selection without the lists that stand in every answer; InvalidParameter where a nested one was asked for."""
    nested = {name for name, _ in selection.expanded}
    for parameter in ("expand", "fields"):
        if asked := [name for name in read_names(parameters, parameter) if name.partition(".")[0] in nested]:
            raise InvalidParameter(
                parameter,
                f"{asked[0]!r} is nested, and a {kind.suffix} row is flat.",
                f"Ask for {resource.name}.ndjson.",
            )
    return Selection(tuple(name for name in selection.names if name not in nested))


# -- what there is -----------------------------------------------------------------------------------------------


def find_ends(query: Query) -> tuple[int, int]:
    """The least and the greatest id of the whole table, by its index; what is inserted later has a greater one."""
    return read_anywhere(query, read_ends)


def read_ends(query: Query) -> tuple[int, int]:
    # Not of the filtered rows: their greatest id can be a walk through the whole index.
    keys = query.rows.model._default_manager.using(query.rows.db).values_list("pk", flat=True)
    with borrow_connection(query):
        return keys.order_by("pk").first() or 0, keys.order_by("-pk").first() or 0


def read_anywhere[Found](query: Query, read: Callable[..., Found], *how: Any) -> Found:
    """What `read` reads of a replica that has all that was acknowledged by now, or of the primary."""
    return read_of(choose_database(query.least), query, read, *how)


def read_of[Found](replica: str, query: Query, read: Callable[..., Found], *how: Any) -> Found:
    """Of this one, or where it fails of the primary."""
    if replica == DEFAULT_DB_ALIAS:
        return read(query, *how)
    try:
        return read(replace(query, rows=query.rows.using(f"{DATABASE}_{replica}")), *how)
    except OperationalError as error:
        replace_failed(replica, error)
        return read(query, *how)


# Reads a chunk when its time has come.
type Turn = Callable[[Callable[[], Chunk]], Chunk]


def read_at_once(read: Callable[[], Chunk]) -> Chunk:
    return read()


def read_chunks(
    query: Query, after: int, upto: int, width: Callable[[], int] = lambda: 1, turn: Turn = read_at_once
) -> Iterator[Chunk]:
    """Every row with `after < id <= upto`, in the order of ids; two short queries a chunk, and no transaction.

    No connection is held while a chunk is being used. With a pool, which has connections for other threads, the next
    `width()` chunks are read meanwhile.
    """
    pace = Pace()
    calls = (partial(turn, call) for call in plan_chunks(query, after, upto, pace))
    has_pool = "pool" in connections[query.rows.db].settings_dict["OPTIONS"]
    chunks = call_ahead(calls, width) if has_pool else (call() for call in calls)
    return map(partial(count_chunk, query), map(pace.learn, chunks))


def count_chunk(query: Query, chunk: Chunk) -> Chunk:
    count_all(query.resource.name, query.format.suffix, export_rows=chunk.rows, export_bytes=len(chunk.data))
    return chunk


def plan_chunks(query: Query, after: int, upto: int, pace: Pace) -> Iterator[Callable[[], Chunk]]:
    """A call a chunk. Whom it asks is chosen here: what a request must not be behind, its own thread knows."""
    while after < upto:
        replica = choose_database(query.least)
        last = read_of(replica, query, find_upper, after, min(upto, after + GREATEST_SPAN), pace.rows)
        yield partial(read_of, replica, query, read_chunk, after, last)
        after = last


class Pace:
    """How many rows the next chunk has: about CHUNK_BYTES of them, and at most eight times as many as the last."""

    def __init__(self) -> None:
        self.rows = FIRST_ROWS

    def learn(self, chunk: Chunk) -> Chunk:
        wanted = CHUNK_BYTES * chunk.rows // len(chunk.data) if chunk.data else GREATEST_ROWS
        self.rows = max(1, min(wanted, GREATEST_ROWS, 8 * self.rows))
        return chunk


def read_chunk(query: Query, after: int, last: int) -> Chunk:
    read = READERS.get((query.vendor, query.format), join_json)
    with borrow_connection(query):
        try:
            data, rows = read(query, query.rows.filter(pk__gt=after, pk__lte=last))
        except EmptyResultSet:
            # Django sees by itself that nothing can match, as in a category that isn't there, and makes no SQL of it.
            data, rows = b"", 0
    return Chunk(data, rows, last)


def find_upper(query: Query, after: int, upto: int, size: int) -> int:
    """The id of the row at `size`, or `upto` where there are fewer: the chunk itself may show no id at all."""
    rows = query.rows.filter(pk__gt=after, pk__lte=upto).order_by("pk")
    with borrow_connection(query):
        found: int | None = rows.values_list("pk", flat=True)[size - 1 : size].first()
    return upto if found is None else found


@contextmanager
def borrow_connection(query: Query) -> Iterator[None]:
    """The connection goes back to its pool at once: a slow client keeps none."""
    connection = connections[query.rows.db]
    try:
        yield
    finally:
        # Inside somebody's transaction it is theirs to end.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


# -- how the rows come -------------------------------------------------------------------------------------------


def copy_csv(query: Query, rows: QuerySet[Any]) -> tuple[bytes, int]:
    """PostgreSQL's own CSV."""
    statement = compile_sql(select_cells(query, rows.order_by("pk")))
    connection: Any = connections[rows.db]
    with connection.cursor() as cursor, connection.wrap_database_errors:
        text = psycopg.ClientCursor(connection.connection).mogrify(*statement)
        with cursor.copy(f"COPY ({text}) TO STDOUT (FORMAT csv)") as copy:
            data = connection.connection.wait(read_copy(copy))
        return data, cursor.rowcount


def read_copy(copy: Any) -> Generator[Any, Any, bytes]:
    """All of it in one wait for the connection, where Copy.read() waits for each row anew."""
    # A list would keep thousands of views, which the collector walks through again and again: a third of the time.
    data = BytesIO()
    while row := (yield from copy._read_gen()):
        data.write(row)
    return data.getvalue()


def aggregate_json(query: Query, rows: QuerySet[Any]) -> tuple[bytes, int]:
    """One text of all lines, as the bytes that PostgreSQL sends."""
    sql, parameters = compile_sql(select_json(query, rows))
    lines = f"SELECT string_agg({COLUMN}, E'\\n' ORDER BY row_key) || E'\\n', count(*) FROM ({sql}) chunk"  # noqa: S608 (SQL that Django compiled)
    with connections[rows.db].cursor() as cursor:
        cursor.execute(lines, parameters)
        # As it came: a cursor's row would be decoded.
        data, number = (cursor.pgresult.get_value(0, column) for column in (0, 1))
        return data or b"", int(number)


def join_json(query: Query, rows: QuerySet[Any]) -> tuple[bytes, int]:
    lines = [line for line, _ in select_json(query, rows.order_by("pk"))]
    return "".join(f"{line}\n" for line in lines).encode(), len(lines)


def write_csv_of_json(query: Query, rows: QuerySet[Any]) -> tuple[bytes, int]:
    data, number = join_json(query, rows)
    return write_csv(query.columns, parse_rows(data), query.raw), number


READERS: Mapping[tuple[str, type[Format]], Callable[[Query, QuerySet[Any]], tuple[bytes, int]]] = {
    ("postgresql", Csv): copy_csv,
    ("postgresql", FORMATS["ndjson"]): aggregate_json,
    ("sqlite", Csv): write_csv_of_json,
}


def select_cells(query: Query, rows: QuerySet[Any]) -> QuerySet[Any]:
    """A column each, as SQL alone: Django takes them for one."""
    cells = compile_cells(query.serializer, query.selection, query.origin, query.raw)
    return rows.annotate(**{COLUMN: cells}).values_list(COLUMN)


def select_json(query: Query, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Tuples of each row's JSON and its key."""
    keyed = rows.annotate(row_key=F("pk"))
    return projection.select_json(keyed, query.serializer, query.selection, query.origin, ["row_key"])


def compile_sql(rows: QuerySet[Any]) -> tuple[str, Sequence[Any]]:
    sql, parameters = rows.query.get_compiler(rows.db).as_sql()
    return sql, parameters


def parse_rows(data: bytes) -> list[dict[str, Any]]:
    """The rows of an NDJSON chunk as the API shows them: amounts and times are text, `query.columns` tell which."""
    return [orjson.loads(line) for line in data.splitlines()]
