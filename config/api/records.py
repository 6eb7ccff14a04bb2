"""One request as it is timed and written down: its id, its stop-watch, its log line, whoever answers it."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from typing import Any, Self

from django.db import connections

from config.logs import REQUEST_ID

logger = logging.getLogger("tenfold.request")

# What a client may send as its own request id: it goes into headers and logs as it stands.
GIVEN_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")


class IdMaker:
    """Ids unique among processes and in time: a random prefix and a counter cost 0.3 microseconds, uuid4 5."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.prefix, self.pid = "", 0

    def make_id(self) -> str:
        if self.pid != os.getpid():  # first use, or first after a fork
            self.prefix, self.pid = os.urandom(6).hex(), os.getpid()
        return f"{self.prefix}-{next(self.numbers):x}"


IDS = IdMaker()


class QueryClock:
    """Counts the queries of one request and their time; an `execute_wrapper` of every connection."""

    def __init__(self) -> None:
        self.queries, self.seconds = 0, 0.0

    def __call__(self, execute: Callable[..., Any], *args: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(*args)
        finally:
            self.queries += 1
            self.seconds += time.perf_counter() - began


class Record:
    """`with Record(environ):` around whatever answers a request; what is logged meanwhile bears its id."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.began = time.perf_counter()
        given = environ.get("HTTP_X_REQUEST_ID", "")
        self.id = given if GIVEN_ID.fullmatch(given) else IDS.make_id()
        self.method = environ["REQUEST_METHOD"]
        self.clock = QueryClock()
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        token = REQUEST_ID.set(self.id)
        self.stack.callback(REQUEST_ID.reset, token)
        # All of them: a thread's first request has none that is initialised yet.
        for connection in connections.all():
            self.stack.enter_context(connection.execute_wrapper(self.clock))
        return self

    def __exit__(self, *failure: object) -> None:
        self.stack.close()

    def finish(self, status: int, size: int | None, cache: str, render_seconds: float, **more: Any) -> dict[str, str]:
        """Write the line, with path, route and user_id as they're given; the headers that an answer carries for it."""
        seconds = time.perf_counter() - self.began
        if logger.isEnabledFor(logging.INFO):
            self.write_line(status=status, duration_ms=round(seconds * 1000, 1), bytes=size, cache=cache, **more)
        return {
            "X-Request-ID": self.id,
            "Server-Timing": f'db;dur={self.clock.seconds * 1000:.1f};desc="{self.clock.queries} queries", '
            f'cache;desc="{cache}", render;dur={render_seconds * 1000:.1f}, total;dur={seconds * 1000:.1f}',
        }

    def write_line(self, **values: Any) -> None:
        # Not the query string: it may hold a signed link; nor any header or body.
        extra = {"method": self.method, "queries": self.clock.queries, **values}
        logger.info("%s %s %s", self.method, values["path"], values["status"], extra=extra)
