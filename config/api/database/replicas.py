"""Which database a read asks: a replica that has every acknowledged write, else the primary. Django's router.

A GET asks the primary how far it is (0.1 ms), and a replica whether it has come so far, for which it may wait
WAIT_SECONDS; then it reads all it needs from that one. So nobody reads what is older than a write that somebody was
told of, with or without X-Min-Version. A replica that lags or fails is left alone for PAUSE_SECONDS. While the
primary is away replicas answer as far as they have come; X-Min-Version holds then too.

Writes, whatever runs in a transaction, and what no request surrounds, is the primary's.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connections
from psycopg_pool import PoolTimeout

from config.api.database.wal_positions import parse_position, read_position, read_written_position
from config.api.problems.errors import find_limit

# A replica in the same network is some milliseconds behind; whoever is further would make every read wait.
WAIT_SECONDS, POLL_SECONDS = 0.05, 0.002
PAUSE_SECONDS = 1.0


class Servers:
    """In which order replicas are asked, and who failed lately; of this process."""

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
        # While the primary is away, one that lagged a moment ago may be all there is.
        return replicas if self.is_paused(DEFAULT_DB_ALIAS) else [name for name in replicas if not self.is_paused(name)]


SERVERS = Servers()


class Reading:
    """The reads of one request: all of one database, chosen with the first of them."""

    def __init__(self, least: str | None = None) -> None:
        self.least, self.database = least, ""

    def find(self) -> str:
        if not self.database:
            self.database = choose_database(self.read_least())
        return self.database

    def read_least(self) -> int:
        """InvalidHeader for an X-Min-Version that is none."""
        return parse_position(self.least) if self.least is not None else 0


# Of the request at hand, where its reads may go to a replica.
READING: ContextVar[Reading | None] = ContextVar("reading", default=None)

# What a read must not be behind, whoever asks, and also while the primary is away.
FLOOR: ContextVar[int] = ContextVar("floor", default=0)


@contextmanager
def read_at_least(position: int) -> Iterator[None]:
    token = FLOOR.set(position)
    try:
        yield
    finally:
        FLOOR.reset(token)


def find_reader() -> str:
    """The alias of the database that a read asks at this moment."""
    reading = READING.get()
    if reading is None or not settings.DATABASE_REPLICAS or connections[DEFAULT_DB_ALIAS].in_atomic_block:
        return DEFAULT_DB_ALIAS
    return reading.find()


def choose_again() -> None:
    """What is read from here on has what the primary has now: after a write, or a position that was read there."""
    if reading := READING.get():
        reading.database = ""


def replace_failed(database: str, error: OperationalError) -> str:
    """Whom the rest of the request asks, `database` having failed: the primary for a replica, and the other way."""
    if find_limit(error):
        raise error  # it would there too
    if database == DEFAULT_DB_ALIAS and (not settings.DATABASE_REPLICAS or can_connect()):
        return database  # a connection was lost, and the server is there
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


def choose_database(least: int = 0) -> str:
    """A replica that has come as far as the primary and `least`; the primary where there is none."""
    replicas = SERVERS.take_turn() if settings.DATABASE_REPLICAS else []
    wanted = max(least, FLOOR.get(), find_acknowledged()) if replicas else 0
    return next((name for name in replicas if has_reached(name, wanted)), DEFAULT_DB_ALIAS)


def find_acknowledged() -> int:
    """How far the primary is; 0 while it is away, and replicas are all there is."""
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
    """Whether the primary can't be reached; that it refuses a question is no reason to answer what is old."""
    primary = connections[DEFAULT_DB_ALIAS]
    if not isinstance(error.__cause__, PoolTimeout):
        return primary.connection is None
    # A pool waits alike for a connection that comes back and for a server that is gone.
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
    """Django's, one of DATABASE_ROUTERS where there are replicas."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return find_reader()

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return DEFAULT_DB_ALIAS

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return True  # one database, in several places
