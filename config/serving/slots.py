"""WSGI in, WSGI out: admission control. A request runs in one of a few slots; a slot has the database connections.

The server has many more threads than slots. So 503s are sent while all slots are taken, and a slow client
holds a thread but no slot. Connections belong to slots: one for each thread would be hundreds.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from io import BufferedReader
from threading import Lock
from typing import Any
from urllib.parse import unquote_plus

from config.api.database.lending import Connections, Loan, exchange_connections
from config.api.problems.errors import ApiError, Overloaded
from config.api.push.responses import Pushed
from config.process import affinity
from config.process.activity import ACTIVITY
from config.process.capacity import (
    MOST_BODIES,
    MOST_BODIES_OF_STRANGERS,
    MOST_SEARCHES_WAITING,
    MOST_UPLOADS_WAITING,
    MOST_WAITING,
)
from config.serving.bodies import When, find_rule, has_body, has_credentials, read_ahead, read_length
from config.serving.readings import Reading
from config.serving.refusals import Environ, StartResponse, refuse
from config.serving.shares import Share

logger = logging.getLogger("tenfold.slots")

type Application = Callable[[Environ, StartResponse], Iterable[bytes]]

# Seconds between two log lines about 503s: a line for each would be load itself.
REPORT_SECONDS = 1.0


class RequestSlots:
    """Wraps `application`, so that at most `size` requests work at once."""

    def __init__(self, application: Application, size: int) -> None:
        self.application = application
        self.slots = Share([Loan() for _ in range(size)], MOST_WAITING)
        # For bodies that are read before their requests take a slot: with credentials, and without.
        self.callers, self.strangers = Share(range(MOST_BODIES)), Share(range(MOST_BODIES_OF_STRANGERS))
        # Streamed bodies and searches may take long, so each kind gets only half of the slots.
        half = range(max(1, size // 2))
        self.uploads, self.searches = Share(half, MOST_UPLOADS_WAITING), Share(half, MOST_SEARCHES_WAITING)
        self.refusals = Refusals()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        with ExitStack() as held:
            try:
                slot = self.prepare(environ, held)
            except ApiError as error:
                if isinstance(error, Overloaded):
                    self.refusals.report()
                return refuse(error, environ, start_response)
            return self.work(slot, environ, start_response)

    def prepare(self, environ: Environ, held: ExitStack) -> Loan:
        """Read the body, take a place in a share if needed, then a slot. Raises an ApiError if one of them fails."""
        if has_body(environ):
            self.read_body(environ, held)
        if is_search(environ):
            held.enter_context(self.searches.hold(environ))
        return held.enter_context(self.slots.hold(environ))

    def read_body(self, environ: Environ, held: ExitStack) -> None:
        """Read the body outside the slots. For a streamed body, take a place of `uploads` instead.

        A body that is too large, or whose request will be 401 or 403, isn't read.
        """
        rule = find_rule(environ)
        if rule.when is When.NEVER or (read_length(environ) or 0) > rule.limit:
            return
        if rule.when is When.STREAMED:
            held.enter_context(self.uploads.hold(environ))
            environ["wsgi.input"] = BufferedReader(Reading(environ, self.uploads))
            return
        share = self.callers if has_credentials(environ) else self.strangers
        with share.hold(environ):
            read_ahead(environ, rule.limit, share)
        held.callback(environ["wsgi.input"].close)

    def work(self, slot: Loan, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer within the slot. A stream is sent outside of it, and takes the slot's connections along."""
        with slot:
            response: Any = self.application(environ, start_response)
            held: Pushed | None = getattr(response, "held", None)
            if held:
                response.close()  # Django ends the request here; the server holds the stream
                return held
            if is_stream(response):
                return Stream(response, slot.give_away())
            ACTIVITY.note()
            if close := getattr(response, "close", None):
                close()  # Django ends the request here, and gives a pool's connections back
            return response


def is_stream(response: Any) -> bool:
    """Whether the request's thread sends the body in pieces: Django's streams, and files in a `wsgi.file_wrapper`."""
    return getattr(response, "streaming", not isinstance(response, list | Pushed))


class Stream:
    """A body that is made while it is sent, and its database connections, which are closed at its end."""

    def __init__(self, response: Any, kept: Connections) -> None:
        self.response, self.kept = response, kept
        self.own: Connections = {}

    def __iter__(self) -> Iterator[bytes]:
        # The thread's own connections are put aside: if they were only replaced, they would stay open for ever.
        self.own = exchange_connections(self.kept)
        affinity.PLACE.leave()
        return iter(self.response)

    def close(self) -> None:
        try:
            self.response.close()
        finally:
            for connection in {**self.kept, **exchange_connections(self.own)}.values():
                connection.close()
            affinity.PLACE.come_back()


class Refusals:
    """Raises Overloaded, and logs once a second how often."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.count = self.reported = 0
        self.reported_at = 0.0

    def report(self) -> None:
        with self.lock:
            self.count += 1
            now = time.monotonic()
            if now - self.reported_at < REPORT_SECONDS:
                return
            new, self.reported, self.reported_at = self.count - self.reported, self.count, now
        logger.warning("Overloaded: %d requests got 503 since the last such line", new)


# Parameters that make a read expensive: searches of the API and of the admin, facets, and counts of a whole list.
# `.` because an encoded `&` may begin the value; one that is empty is taken for a search then, which does no harm.
DEAR_PARAMETERS = re.compile(r"(?:^|&)(?:(?:search|q|facets)=.|count=(?:exact|estimated)(?:&|$))", re.DOTALL)
# The ends of paths that are expensive without a parameter. An agent's message may be a search, and only its body tells.
DEAR_PATHS = ("/facets/", "/facets", "/mcp")


def is_search(environ: Environ) -> bool:
    """Whether the request may keep the database busy for long."""
    if environ["PATH_INFO"].endswith(DEAR_PATHS):
        return True
    return DEAR_PARAMETERS.search(unquote_plus(environ.get("QUERY_STRING", ""))) is not None
