"""WSGI in, WSGI out: admission control. A request works in one of a few slots, which has its database connections.

The server has many more threads than slots. So probes and refusals get through while all slots are taken, and a slow
client holds a thread but no slot. Connections belong to slots: one for each thread would be hundreds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Lock
from typing import Any

from config.api.database.lending import Connections, Loan, exchange_connections
from config.api.gates.records import RequestRecord
from config.api.problems.error_handler import build_problem, find_headers
from config.api.problems.errors import Overloaded
from config.api.rendering.renderers import PROBLEM_TYPE, write_json
from config.logs import REQUEST_ID
from config.process import affinity
from config.process.activity import ACTIVITY
from config.process.capacity import MOST_BODIES, MOST_WAITING, WAIT_SECONDS
from config.serving.bodies import has_body, read_ahead

logger = logging.getLogger("tenfold.slots")

type Environ = dict[str, Any]
type StartResponse = Callable[..., Any]
type Application = Callable[[Environ, StartResponse], Iterable[bytes]]

# Probes need no slot: they use no database, or use it in a thread of their own.
PROBES = frozenset({"/livez", "/readyz", "/metrics"})

# Seconds between two log lines about refusals: a line for each would be load itself.
REPORT_SECONDS = 1.0


class RequestSlots:
    """Wraps `application`, so that at most `size` requests work at once."""

    def __init__(self, application: Application, size: int) -> None:
        self.application = application
        self.free: SimpleQueue[Loan] = SimpleQueue()
        for _ in range(size):
            self.free.put(Loan())
        self.waiting = BoundedSemaphore(MOST_WAITING)
        self.bodies = BoundedSemaphore(MOST_BODIES)
        # A large body is read within a slot, at its client's pace: only half of the slots may do that.
        self.uploads = BoundedSemaphore(max(1, size // 2))
        self.refusals = Refusals()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] in PROBES:
            return self.application(environ, start_response)
        with ExitStack() as held:
            slot = self.prepare(environ, held)
            if slot is None:
                return self.refusals.refuse(environ, start_response)
            return self.work(slot, environ, start_response)

    def prepare(self, environ: Environ, held: ExitStack) -> Loan | None:
        """Read a small body, then take a slot; None if too many requests wait for either."""
        if has_body(environ) and not self.read_body(environ, held):
            return None
        return self.take()

    def read_body(self, environ: Environ, held: ExitStack) -> bool:
        """Read a small body outside the slots, at its client's pace. For a large one, reserve one of `uploads`."""
        if not self.bodies.acquire(blocking=False):
            return False
        try:
            if read_ahead(environ):
                return True
        finally:
            self.bodies.release()
        if not self.uploads.acquire(timeout=WAIT_SECONDS):
            return False
        held.callback(self.uploads.release)
        return True

    def take(self) -> Loan | None:
        """A free slot; None if too many requests wait, or after WAIT_SECONDS."""
        try:
            return self.free.get_nowait()
        except Empty:
            pass
        if not self.waiting.acquire(blocking=False):
            return None
        try:
            return self.free.get(timeout=WAIT_SECONDS)
        except Empty:
            return None
        finally:
            self.waiting.release()

    def work(self, slot: Loan, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer within the slot. A stream is sent outside of it, and takes the slot's connections along."""
        try:
            with slot:
                response: Any = self.application(environ, start_response)
                if is_stream(response):
                    return Stream(response, slot.give_away())
                ACTIVITY.note()
                if close := getattr(response, "close", None):
                    close()  # Django ends the request here, and gives a pool's connections back
                return response
        finally:
            self.free.put(slot)


def is_stream(response: Any) -> bool:
    """Whether the body is sent in pieces: Django's streams, and files in a server's `wsgi.file_wrapper`."""
    return getattr(response, "streaming", not isinstance(response, list))


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
    """The 503s for requests that get no slot, and a log line a second that counts them."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.count = self.reported = 0
        self.reported_at = 0.0

    def refuse(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        """Answer 503 without Django, since a refusal must be cheap under overload."""
        error, request_id = Overloaded(), RequestRecord(environ).id
        token = REQUEST_ID.set(request_id)
        try:
            body = write_json(build_problem(error))
            self.report()
        finally:
            REQUEST_ID.reset(token)
        headers = {
            "Content-Type": PROBLEM_TYPE,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Request-ID": request_id,
            **dict(find_headers(error)),
        }
        status = HTTPStatus(error.status_code)
        start_response(f"{status.value} {status.phrase}", list(headers.items()))
        return [body]

    def report(self) -> None:
        with self.lock:
            self.count += 1
            now = time.monotonic()
            if now - self.reported_at < REPORT_SECONDS:
                return
            new, self.reported, self.reported_at = self.count - self.reported, self.count, now
        logger.warning("Too much at once: %d requests refused since the last such line", new)
