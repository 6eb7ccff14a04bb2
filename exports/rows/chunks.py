"""A query in, chunks of encoded rows out, by primary key. Each chunk is a short query; nothing is open between chunks.

The database writes the bytes. On PostgreSQL a CSV chunk is `COPY (SELECT cells …) TO STDOUT`, and an NDJSON chunk is
one text that the database joins (COPY would escape the backslashes in JSON). On SQLite the rows' JSON is joined here,
and CSV is made from it. There is no server-side cursor: it would hold a connection for as long as the client reads, and
it fails behind PgBouncer. A row that exists the whole time is in exactly one chunk, whatever other rows come and go.

Jobs use it like this:

    query = make_query("products", user, parameters, "csv")   # raises ApiError, as for streams
    lowest, highest = find_ends(query)                        # ids of the whole table; (0, 0) if it is empty
    for chunk in read_chunks(query, after, upto): …           # ids > after and <= upto, in the order of ids

The parts of an export are consecutive ranges of ids: `(after, upto]` and `(upto, next]`. The whole file is
`query.format.begin_file(query.columns)` and then the chunks of all parts in order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from io import BytesIO
from typing import Any

import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.models import F, QuerySet
from django.http import QueryDict
from psycopg.errors import error_from_result
from psycopg.generators import WAIT_R, fetch_many
from psycopg.pq import ExecStatus

from config.api.access.permissions import Caller
from config.api.database.ahead import call_ahead
from config.api.database.replicas import choose_database, replace_failed
from config.api.database.statements import choose_compiled, read_stored
from config.api.problems.errors import InvalidParameter
from config.api.reads import stored
from config.api.reads.filtering import narrow_rows
from config.api.reads.parameters import read_choice, read_names
from config.api.reads.projection import COLUMN
from config.api.reads.resources import RESOURCES, Resource
from config.api.reads.selections import ReadSerializer, Selection, read_selection
from config.api.rendering.formulas import may_hide_formula
from config.api.rendering.renderers import write_json
from config.metrics import count_all
from exports.formats.encoders import Column, Csv, FlatRows, Format, Ndjson, list_columns, parse_rows, write_csv
from exports.formats.formats import PART_FORMATS
from exports.rows.cells import CarefulCells, Cells, RawCells, compile_cells

# The rows of the first chunk. They are few, so that the first byte comes at once.
FIRST_ROWS = 500
# The bytes that a chunk should have. The last chunk tells how many rows make so many bytes.
CHUNK_BYTES = 2 * 1024 * 1024
# The most rows of a chunk, however narrow they are.
GREATEST_ROWS = 20_000
# The widest range of ids in one chunk. Where filters keep few rows, this keeps each query below a second.
GREATEST_SPAN = 500_000

# The share of ids that have a row.
DENSE = 0.9

# The connection's alias: the same database as `default`, with its own timeouts.
DATABASE = "exports"


@dataclass(frozen=True)
class Query:
    """What is exported: the rows (filtered, and only those that the caller may see), their shape and the format.

    `origin`, such as `https://shop.example`, is the beginning of URLs in the rows. If empty, they have no host.
    """

    resource: Resource
    rows: QuerySet[Any]
    serializer: ReadSerializer
    selection: Selection
    format: type[Format]
    raw: bool = False
    origin: str = ""
    # Whether an NDJSON stream ends with the line that proves it complete.
    trailer: bool = True
    # The WAL position that a replica must have reached to be read.
    least: int = 0

    @cached_property
    def columns(self) -> list[Column]:
        """The columns, in the order of a CSV row's cells."""
        return list_columns(self.serializer, self.selection)

    def finish(self, lines: bytes) -> bytes:
        """The lines of a chunk, as the file has them."""
        if self.format.shape:
            return self.format.write_rows(lines)
        finish = self.resource.finish_line
        return b"".join(finish(line) + b"\n" for line in lines.splitlines()) if finish else lines

    @property
    def vendor(self) -> str:
        return connections[self.rows.db].vendor


@dataclass(frozen=True)
class Chunk:
    """Complete lines of a file, without header and trailer. `last_id` is the last id of the range that was read.

    `data` is empty if the filters keep no row of the range.
    """

    data: bytes
    rows: int
    last_id: int


# -- the query ---------------------------------------------------------------------------------------------------


def make_query(name: str, caller: Caller, parameters: QueryDict, format_: str, origin: str = "") -> Query:
    """The query for the resource `name`. `parameters` are those of its list (filters, `fields`, …), and `raw`.

    Raises ApiError for a bad value. The caller's permission (`resource.right`) and the names of the parameters must be
    checked before. Filters by category, attribute and search run a query each.
    """
    resource, kind = RESOURCES[name], PART_FORMATS[format_]
    kind.check_settings()
    parameters = add_filters(parameters, kind)
    serializer = kind.shape or resource.choose_shape(caller, is_flat=not kind.has_nested)
    selection = read_selection(parameters, serializer, detail=False)
    if not kind.has_nested and not kind.shape:
        selection = flatten(selection, parameters, resource, kind)
    rows = narrow_rows(resource.filters, parameters, resource.select_rows(caller).using(DATABASE))
    resource.check_rows(rows, parameters)
    raw = read_choice(parameters, "raw", ("0", "1")) == "1"
    trailer = read_choice(parameters, "trailer", ("0", "1")) != "0"
    selection = order_members(selection, parameters)
    return Query(resource, rows.order_by(), serializer, selection, kind, raw, origin, trailer)


def add_filters(parameters: QueryDict, kind: type[Format]) -> QueryDict:
    """The parameters with the format's own filters. `status.not` stands for `status`, too."""
    named = {name.partition(".")[0] for name in parameters}
    parameters = parameters.copy()
    parameters.update({name: value for name, value in kind.filters.items() if name not in named})
    return parameters


def order_members(selection: Selection, parameters: QueryDict) -> Selection:
    """The members in the order of `fields`, for the order of the columns. Expanded members without it come last."""
    asked = read_names(parameters, "fields")
    place = {name: number for number, name in enumerate(reversed(asked))}
    return replace(selection, names=tuple(sorted(selection.names, key=lambda name: -place.get(name, -1))))


def flatten(selection: Selection, parameters: QueryDict, resource: Resource, kind: type[Format]) -> Selection:
    """The selection without nested fields. Raises InvalidParameter if the parameters ask for a nested one."""
    nested = {name for name, _ in selection.expanded}
    for parameter in ("expand", "fields"):
        if asked := [name for name in read_names(parameters, parameter) if name.partition(".")[0] in nested]:
            raise InvalidParameter(
                parameter,
                f"{asked[0]!r} is nested, and a {kind.suffix} row is flat.",
                f"Use {resource.name}.ndjson.",
            )
    return Selection(tuple(name for name in selection.names if name not in nested))


# -- reading -----------------------------------------------------------------------------------------------------


def find_ends(query: Query) -> tuple[int, int]:
    """The smallest and the greatest id of the whole table, from its index. Rows inserted later have greater ids."""
    return read_anywhere(query, read_ends)


def read_ends(query: Query) -> tuple[int, int]:
    # Without the filters: to find the greatest id of filtered rows can read the whole index.
    keys = query.rows.model._default_manager.using(query.rows.db).values_list("pk", flat=True)
    with borrow_connection(query):
        return keys.order_by("pk").first() or 0, keys.order_by("-pk").first() or 0


def read_anywhere[Found](query: Query, read: Callable[..., Found], *how: Any) -> Found:
    """Call `read` with a replica that has all writes acknowledged by now, else with the primary."""
    return read_of(choose_database(query.least), query, read, *how)


def read_of[Found](replica: str, query: Query, read: Callable[..., Found], *how: Any) -> Found:
    """Call `read` with this replica or, if it fails, with the primary."""
    if replica == DEFAULT_DB_ALIAS:
        return read(query, *how)
    try:
        return read(replace(query, rows=query.rows.using(f"{DATABASE}_{replica}")), *how)
    except OperationalError as error:
        replace_failed(replica, error)
        return read(query, *how)


# Calls the function that reads a chunk; it may wait before and after.
type Turn = Callable[[Callable[[], Chunk]], Chunk]


def read_at_once(read: Callable[[], Chunk]) -> Chunk:
    return read()


def read_chunks(
    query: Query, after: int, upto: int, width: Callable[[], int] = lambda: 1, turn: Turn = read_at_once
) -> Iterator[Chunk]:
    """All rows with `after < id <= upto`, in the order of ids. Each chunk takes a short query or two, no transaction.

    No connection is held while the caller uses a chunk. With a connection pool, other threads read the next `width()`
    chunks meanwhile.
    """
    pace = Pace(after)
    calls = (partial(turn, call) for call in plan_chunks(query, after, upto, pace))
    has_pool = "pool" in connections[query.rows.db].settings_dict["OPTIONS"]
    chunks = call_ahead(calls, width) if has_pool else (call() for call in calls)
    return map(partial(count_chunk, query), map(pace.learn, chunks))


def count_chunk(query: Query, chunk: Chunk) -> Chunk:
    count_all(query.resource.name, query.format.suffix, export_rows=chunk.rows, export_bytes=len(chunk.data))
    return chunk


def plan_chunks(query: Query, after: int, upto: int, pace: Pace) -> Iterator[Callable[[], Chunk]]:
    """A function for each chunk. The replica is chosen here, in the request's thread: only that one has the request's
    minimum WAL position.
    """
    if query.resource.read_head and not after:
        yield partial(read_of, choose_database(query.least), query, read_head)
    while after < upto:
        replica = choose_database(query.least)
        span = pace.rows if pace.is_dense else GREATEST_SPAN
        last = min(upto, after + span)
        if not pace.is_dense:
            last = read_of(replica, query, find_upper, after, last, pace.rows)
        yield partial(read_of, replica, query, read_chunk, after, last)
        after = last


class Pace:
    """Chooses the number of rows of the next chunk: about CHUNK_BYTES, but at most eight times the last number.

    While nearly every id has a row, so many ids are a chunk. Otherwise a query finds the chunk's upper id.
    """

    def __init__(self, after: int) -> None:
        self.rows, self.last_id, self.is_dense = FIRST_ROWS, after, False

    def learn(self, chunk: Chunk) -> Chunk:
        self.is_dense = chunk.rows >= DENSE * (chunk.last_id - self.last_id) > 0
        self.last_id = chunk.last_id
        wanted = CHUNK_BYTES * chunk.rows // len(chunk.data) if chunk.data else GREATEST_ROWS
        self.rows = max(1, min(wanted, GREATEST_ROWS, 8 * self.rows))
        return chunk


def read_head(query: Query) -> Chunk:
    """The lines before the first row, as a chunk that begins at the id 0."""
    assert query.resource.read_head is not None
    with borrow_connection(query):
        head = list(query.resource.read_head(query.rows.db))
    return Chunk(b"".join(write_json(line) + b"\n" for line in head), len(head), 0)


def read_chunk(query: Query, after: int, last: int) -> Chunk:
    read = READERS.get((query.vendor, query.format), join_json)
    with borrow_connection(query):
        try:
            data, rows = read(query, query.rows.filter(pk__gt=after, pk__lte=last))
        except EmptyResultSet:
            # Django knows without a query that no row can match, as in an unknown category.
            data, rows = b"", 0
    return Chunk(query.finish(data), rows, last)


def find_upper(query: Query, after: int, upto: int, size: int) -> int:
    """The id of the `size`th row, or `upto` if there are fewer rows. (The chunk's own rows may have no id column.)"""
    rows = query.rows.filter(pk__gt=after, pk__lte=upto).order_by("pk")
    with borrow_connection(query):
        found: int | None = rows.values_list("pk", flat=True)[size - 1 : size].first()
    return upto if found is None else found


@contextmanager
def borrow_connection(query: Query) -> Iterator[None]:
    """Return the connection to its pool after the block, so that a slow client holds none."""
    connection = connections[query.rows.db]
    try:
        yield
    finally:
        # In a transaction of the caller it stays open.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


# -- a chunk's bytes ---------------------------------------------------------------------------------------------


def copy_csv(query: Query, rows: QuerySet[Any]) -> tuple[bytes, int]:
    """A chunk as CSV, written by PostgreSQL. Returns the bytes and the number of rows."""
    data, number = copy_cells(query, rows, RawCells() if query.raw else Cells())
    is_risky = not query.raw and may_hide_formula(data, number)
    return copy_cells(query, rows, CarefulCells()) if is_risky else (data, number)


def copy_cells(query: Query, rows: QuerySet[Any], dialect: Cells) -> tuple[bytes, int]:
    statement = compile_sql(select_cells(query, rows.order_by("pk"), dialect))
    connection: Any = connections[rows.db]
    with connection.cursor() as cursor, connection.wrap_database_errors:
        text = psycopg.ClientCursor(connection.connection).mogrify(*statement)
        with cursor.copy(f"COPY ({text}) TO STDOUT (FORMAT csv)") as copy:
            return connection.connection.wait(read_copy(copy))


def read_copy(copy: Any) -> Generator[Any, Any, tuple[bytes, int]]:
    """All data of a COPY and the number of its rows, in one wait for the connection.

    Copy.read() would wait for each row, and Copy._read_gen() makes two generators for each: 0.8 microseconds a row,
    this takes 0.3.
    """
    # A list of the rows' buffers would take a third more time: the garbage collector would walk it again and again.
    data, driver = BytesIO(), copy._pgconn
    write, take = data.write, driver.get_copy_data
    while (size := (taken := take(1))[0]) >= 0:
        if size:
            write(taken[1])
        else:
            while not (yield WAIT_R):
                pass
            driver.consume_input()
    [result] = yield from fetch_many(driver)
    copy._finished = True
    if result.status != ExecStatus.COMMAND_OK:
        raise error_from_result(result)
    return data.getvalue(), result.command_tuples


def aggregate_json(query: Query, rows: QuerySet[Any]) -> tuple[bytes, int]:
    """A chunk as NDJSON, joined by PostgreSQL. Returns the bytes and the number of rows."""
    selected = select_json(query, rows)
    found = read_stored(partial(join_lines, selected))
    return found or join_lines(choose_compiled(selected)) or (b"", 0)


def join_lines(rows: QuerySet[Any]) -> tuple[bytes, int] | None:
    """None if a row's JSON is null, since the row isn't stored."""
    sql, parameters = compile_sql(rows)
    lines = (
        f"SELECT string_agg({COLUMN}, E'\\n' ORDER BY row_key) || E'\\n', count(*), count({COLUMN})"  # noqa: S608 (SQL that Django compiled)
        f" FROM ({sql}) chunk"
    )
    with connections[rows.db].cursor() as cursor:
        cursor.execute(lines, parameters)
        # The raw bytes: fetchone() would decode them.
        data, number, given = (cursor.pgresult.get_value(0, column) for column in range(3))
        return (data or b"", int(number)) if number == given else None


def join_json(query: Query, rows: QuerySet[Any]) -> tuple[bytes, int]:
    lines = [line for line, _ in choose_compiled(select_json(query, rows.order_by("pk")))]
    return "".join(f"{line}\n" for line in lines).encode(), len(lines)


def write_csv_of_json(query: Query, rows: QuerySet[Any]) -> tuple[bytes, int]:
    data, number = join_json(query, rows)
    return write_csv(query.columns, parse_rows(data), query.raw), number


READERS: Mapping[tuple[str, type[Format]], Callable[[Query, QuerySet[Any]], tuple[bytes, int]]] = {
    ("postgresql", Csv): copy_csv,
    ("postgresql", Ndjson): aggregate_json,
    ("postgresql", FlatRows): aggregate_json,
    ("sqlite", Csv): write_csv_of_json,
}


def select_cells(query: Query, rows: QuerySet[Any], dialect: Cells) -> QuerySet[Any]:
    """The rows' cells. They are one annotation, whose SQL has several columns."""
    cells = compile_cells(query.serializer, query.selection, query.origin, dialect)
    return rows.annotate(**{COLUMN: cells}).values_list(COLUMN)


def select_json(query: Query, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Tuples of each row's JSON, or null for a row that isn't stored, and its primary key."""
    keyed = rows.annotate(row_key=F("pk"))
    return stored.select_json(keyed, query.serializer, query.selection, query.origin, ["row_key"])


def compile_sql(rows: QuerySet[Any]) -> tuple[str, Sequence[Any]]:
    sql, parameters = rows.query.get_compiler(rows.db).as_sql()
    return sql, parameters
