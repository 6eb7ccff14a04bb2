"""Chooses the database of a read: a replica that has every acknowledged write, else the primary. Django's router.

A GET asks the primary for its position (0.1 ms). It waits up to WAIT_SECONDS until a replica has reached it, and then
reads everything from that replica. So no read is older than a write that any client knows of, with or without
X-Min-Version. A replica that lags or fails isn't asked for PAUSE_SECONDS. While the primary is away, replicas answer
with what they have; X-Min-Version is kept then, too.

The primary gets all writes, all of a transaction, and everything outside a request.
"""

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connections
from psycopg_pool import PoolTimeout

from config.api.database.wal_positions import parse_position, read_position, read_written_position
from config.api.problems.errors import InvalidHeader, find_limit

# A replica in the same network is some milliseconds behind; one that is further behind would make every read wait.
WAIT_SECONDS, POLL_SECONDS = 0.05, 0.002
PAUSE_SECONDS = 1.0


class Servers:
    """The order in which this process asks replicas, and which servers failed lately."""

    def __init__(self) -> None:
        self.turns = count()
        self.paused_until: dict[str, float] = {}

    def pause(self, database: str) -> None:
        self.paused_until[database] = time.monotonic() + PAUSE_SECONDS

    def is_paused(self, database: str) -> bool:
        return self.paused_until.get(database, 0.0) > time.monotonic()

    def take_turn(self) -> list[str]:
        replicas: list[str] = settings.DATABASE_REPLICAS
        first = next(self.turns) % len(replicas)
        replicas = replicas[first:] + replicas[:first]
        # While the primary is away, a replica that lagged a moment ago may be the only server.
        return replicas if self.is_paused(DEFAULT_DB_ALIAS) else [name for name in replicas if not self.is_paused(name)]


SERVERS = Servers()


class Reading:
    """The reads of one request; all use one database, which the first of them chooses."""

    def __init__(self, least: str | None = None) -> None:
        self.least, self.database = least, ""

    def find(self) -> str:
        if not self.database:
            self.database = choose_database(self.read_least())
        return self.database

    def read_least(self) -> int:
        """The request's X-Min-Version, or 0; InvalidHeader if it isn't a position."""
        return parse_position(self.least) if self.least is not None else 0


# The present request's reads; None if they must go to the primary.
READING: ContextVar[Reading | None] = ContextVar("reading", default=None)

# The position that every read must have reached, even while the primary is away.
FLOOR: ContextVar[int] = ContextVar("floor", default=0)


@contextmanager
def read_at_least(position: int) -> Iterator[None]:
    token = FLOOR.set(position)
    try:
        yield
    finally:
        FLOOR.reset(token)


def find_reader() -> str:
    """The alias of the database that a read uses now."""
    reading = READING.get()
    if reading is None or not settings.DATABASE_REPLICAS or connections[DEFAULT_DB_ALIAS].in_atomic_block:
        return DEFAULT_DB_ALIAS
    return reading.find()


def choose_again() -> None:
    """Let the next read choose a database again, after a write or after a position was read from the primary."""
    if reading := READING.get():
        reading.database = ""


def replace_failed(database: str, error: OperationalError) -> str:
    """The database for the rest of the request after `database` failed: the primary, or a replica in its place."""
    if find_limit(error):
        raise error  # a time limit ended the query; it would end it on the other server, too
    if database == DEFAULT_DB_ALIAS and (not settings.DATABASE_REPLICAS or can_connect()):
        return database  # only the connection was lost
    SERVERS.pause(database)
    reading = READING.get()
    if database != DEFAULT_DB_ALIAS:
        found = DEFAULT_DB_ALIAS
    else:
        found = choose_database(reading.read_least()) if reading else database
    if reading:
        reading.database = found
    return found


def can_connect() -> bool:
    try:
        connections[DEFAULT_DB_ALIAS].ensure_connection()
    except OperationalError as error:
        return not is_away(error)
    return True


def check_least(headers: Mapping[str, str]) -> None:
    """Raises InvalidHeader for an X-Min-Version that is none, or that no write has reached yet."""
    if (least := headers.get("X-Min-Version")) is not None:
        refuse_unwritten(parse_position(least))


def refuse_unwritten(position: int) -> None:
    """Raises InvalidHeader for a position that no write has reached yet: no database has such new rows."""
    if choose_database(position) == DEFAULT_DB_ALIAS and position > (newest := read_written_position()):
        detail = f"{position} is past the newest version, {newest}."
        raise InvalidHeader("X-Min-Version", detail, "Send the X-Data-Version of a write as it came.")


def choose_database(least: int = 0) -> str:
    """A replica that has reached the primary's position and `least`; the primary if there is none."""
    replicas = SERVERS.take_turn() if settings.DATABASE_REPLICAS else []
    wanted = max(least, FLOOR.get(), find_acknowledged()) if replicas else 0
    return next((name for name in replicas if has_reached(name, wanted)), DEFAULT_DB_ALIAS)


def find_acknowledged() -> int:
    """The primary's position; 0 while it is away, so that any replica will do."""
    if SERVERS.is_paused(DEFAULT_DB_ALIAS):
        return 0
    try:
        return read_written_position()
    except OperationalError as error:
        if not is_away(error):
            raise
        SERVERS.pause(DEFAULT_DB_ALIAS)
        return 0


def is_away(error: OperationalError) -> bool:
    """Whether the primary can't be reached. If it only refuses a query, no replica may answer with older rows."""
    primary = connections[DEFAULT_DB_ALIAS]
    if not isinstance(error.__cause__, PoolTimeout):
        return primary.connection is None
    # A pool's time-out doesn't tell whether all connections are busy or the server is gone.
    host, port = primary.settings_dict["HOST"], primary.settings_dict["PORT"] or 5432
    try:
        socket.create_connection((host, int(port)), timeout=WAIT_SECONDS).close()
    except OSError:
        return True
    return False


def has_reached(replica: str, wanted: int) -> bool:
    end = time.monotonic() + WAIT_SECONDS
    try:
        while read_position(replica) < wanted:
            if time.monotonic() > end:
                SERVERS.pause(replica)
                return False
            time.sleep(POLL_SECONDS)
    except DatabaseError:
        SERVERS.pause(replica)
        return False
    return True


class Router:
    """A router of Django's; in DATABASE_ROUTERS if there are replicas."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return find_reader()

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return DEFAULT_DB_ALIAS

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return True  # one database, in several places
