"""The record of one request: its id, its times and its line in the access log. Gates and views use the same one."""

from __future__ import annotations

import logging
import os
import re
import time
from itertools import count
from typing import Any, Self

from django.conf import settings

from config.api.database.observers import OBSERVERS, QueryClock
from config.api.database.replicas import READING, Reading
from config.api.gates.entries import Entry
from config.logs import REQUEST_ID, log_request
from config.metrics import count_request

logger = logging.getLogger("tenfold.request")

# The route of a request that matches no address. The metrics never use the path: a client may invent any number.
UNMATCHED = "unmatched"

# The environ's key where the cache writes "miss", for `X-Cache` and the access log.
CACHE_STATE = "tenfold.cache"

# The environ's key of the RequestRecord, so that Django uses the one that a gate has begun.
RECORD = "tenfold.record"

# A client may send its own request id. It goes into headers and logs unchanged, so only these characters are allowed.
GIVEN_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")


class IdMaker:
    """Makes unique ids from the process's random prefix and a counter, in 0.2 microseconds; a uuid4 takes 5."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.begin()

    def begin(self) -> None:
        self.prefix = os.urandom(6).hex()

    def make_id(self) -> str:
        return f"{self.prefix}-{next(self.numbers):x}"


IDS = IdMaker()
os.register_at_fork(after_in_child=IDS.begin)


def choose_id(environ: dict[str, Any]) -> str:
    given = environ.get("HTTP_X_REQUEST_ID")
    return given if given is not None and GIVEN_ID.fullmatch(given) else IDS.make_id()


class RequestRecord:
    """Use it as `with RequestRecord.find(environ):` around the work of a request; log lines within have its id."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.began = time.perf_counter()
        self.id = choose_id(environ)
        self.method = environ["REQUEST_METHOD"]
        self.least: str | None = environ.get("HTTP_X_MIN_VERSION")
        self.clock = QueryClock()
        self.rows: int | None = None
        self.route: str | None = None

    @classmethod
    def find(cls, environ: dict[str, Any]) -> Self:
        """The request's record; a new one if no gate has begun it."""
        if RECORD not in environ:
            environ[RECORD] = cls(environ)
        record: Self = environ[RECORD]
        return record

    def __enter__(self) -> Self:
        # An ExitStack of three blocks would take 6 microseconds; this takes 0.6.
        may_read_replicas = settings.DATABASE_REPLICAS and self.method in ("GET", "HEAD")
        self.request_id = REQUEST_ID.set(self.id)
        self.observers = OBSERVERS.set((*OBSERVERS.get(), self.clock))
        self.reading = READING.set(Reading(self.least) if may_read_replicas else None)
        return self

    def __exit__(self, *failure: object) -> None:
        READING.reset(self.reading)
        OBSERVERS.reset(self.observers)
        REQUEST_ID.reset(self.request_id)

    def finish(self, status: int, size: int | None, cache: str, render_seconds: float, **more: Any) -> dict[str, str]:
        """Count the answer in the metrics, write its log line, and return the headers that every answer has.

        `size` is the body's length in bytes, None for a stream. `more` has path and route, and maybe rows and user_id.
        """
        clock, seconds = self.clock, time.perf_counter() - self.began
        path, route, self.rows = more["path"], more["route"], more.get("rows")
        self.route = route
        count_request(self.method, route or UNMATCHED, status, cache, seconds, clock.queries, clock.seconds)
        if logger.isEnabledFor(logging.INFO):
            # The log gets no query string, since it may hold a signed link, and no header or body.
            about = (self.method, path, route, status, seconds, clock.queries)
            log_request((time.time(), self.id, *about, self.rows, size, cache, more.get("user_id")))
        return {"X-Request-ID": self.id, "Server-Timing": write_timing(clock, cache, render_seconds, seconds)}


def write_timing(clock: QueryClock, cache: str, render_seconds: float, seconds: float) -> str:
    return (
        f'db;dur={clock.seconds * 1000:.1f};desc="{clock.queries} queries", cache;desc="{cache}", '
        f"render;dur={render_seconds * 1000:.1f}, total;dur={seconds * 1000:.1f}"
    )


def find_rows(environ: dict[str, Any]) -> int | None:
    """The number of rows in the answer to a request, as its record has it."""
    record: RequestRecord | None = environ.get(RECORD)
    return record.rows if record else None


# The Server-Timing of nearly every hit: no query, and a time that rounds to 0.0 ms.
HIT_TIMING = write_timing(QueryClock(), "hit", 0.0, 0.0)
# A time of at least this many seconds rounds to more than 0.0 ms.
SHOWN_SECONDS = 0.00005


def record_kept(  # noqa: PLR0913 (gathered in an object they would cost as much again)
    environ: dict[str, Any], entry: Entry, status: int, size: int, began: float, *, state: str = "hit"
) -> tuple[tuple[str, str], tuple[str, str]]:
    """Does the work of a RequestRecord for an answer from the cache: counts, logs, and returns the headers.

    It takes 1.5 microseconds; a RequestRecord takes 4.
    """
    request_id, seconds, method = choose_id(environ), time.perf_counter() - began, environ["REQUEST_METHOD"]
    route = entry.route
    count_request(method, route, status, state, seconds, 0, 0.0)
    if logger.isEnabledFor(logging.INFO):
        about = (method, environ["PATH_INFO"], route, status, seconds, 0)
        log_request((time.time(), request_id, *about, entry.rows if status == 200 else None, size, state, None))
    is_usual = seconds < SHOWN_SECONDS and state == "hit"
    timing = HIT_TIMING if is_usual else write_timing(QueryClock(), state, 0.0, seconds)
    return ("X-Request-ID", request_id), ("Server-Timing", timing)
