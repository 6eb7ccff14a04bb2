"""The outermost layer: a request gets an id, a stop-watch, a log line, its whole body; a missing slash is forgiven."""

import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from io import BytesIO
from itertools import count
from typing import IO, Any

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import is_valid_path

from config.api.authorship import sign_writes
from config.api.error_handler import respond_with
from config.api.errors import BodyTooLarge
from config.logs import REQUEST_ID

logger = logging.getLogger("tenfold.request")

type GetResponse = Callable[[HttpRequest], HttpResponseBase]

# What a client may send as its own request id: it goes into headers and logs as it stands.
GIVEN_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")


# What these write, such as a session, is nobody's change of the catalogue.
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


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


class RequestRecord:
    """`X-Request-ID`, `X-Cache` and `Server-Timing` on every answer, and one log line."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        given = request.headers.get("X-Request-ID", "")
        request_id = given if GIVEN_ID.fullmatch(given) else IDS.make_id()
        token = REQUEST_ID.set(request_id)
        request.request_id = request_id  # type: ignore[attr-defined]  # read by the problem documents
        clock = QueryClock()
        try:
            with ExitStack() as stack:
                # All of them: a thread's first request has none that is initialised yet.
                for connection in connections.all():
                    stack.enter_context(connection.execute_wrapper(clock))
                if request.method not in SAFE_METHODS:
                    stack.enter_context(sign_writes())
                response = self.get_response(request)
            self.mark(request, response, clock, time.perf_counter() - began)
        finally:
            REQUEST_ID.reset(token)
        return response

    def mark(self, request: HttpRequest, response: HttpResponseBase, clock: QueryClock, seconds: float) -> None:
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]  # set above
        if request.method == "GET":
            response.setdefault("X-Cache", "bypass")
        cache = response.get("X-Cache", "bypass")
        render = getattr(response, "render_seconds", 0.0)
        response["Server-Timing"] = (
            f'db;dur={clock.seconds * 1000:.1f};desc="{clock.queries} queries", cache;desc="{cache}", '
            f"render;dur={render * 1000:.1f}, total;dur={seconds * 1000:.1f}"
        )
        self.write_line(request, response, clock, seconds)

    def write_line(self, request: HttpRequest, response: HttpResponseBase, clock: QueryClock, seconds: float) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        # Not the query string: it may hold a signed link; nor any header or body.
        match = request.resolver_match
        logger.info(
            "%s %s %s",
            request.method,
            request.path,
            response.status_code,
            extra={
                "method": request.method,
                "path": request.path,
                "route": match.route if match else None,
                "status": response.status_code,
                "duration_ms": round(seconds * 1000, 1),
                "queries": clock.queries,
                "bytes": len(response.content) if isinstance(response, HttpResponse) else None,
                "cache": response.get("X-Cache"),
                # The user only if something asked who it is: a log line must not cost a query.
                "user_id": getattr(request, "caller_id", None),
            },
        )


def may_have_session(request: HttpRequest) -> bool:
    """Not a program's request: it sends no cookie, and asks the API for anything but the form to log in by."""
    path = request.path_info
    return bool(request.COOKIES) or not path.startswith("/api/") or path.startswith("/api/v1/auth/session/")


class OnlyForSessions:
    """Before a middleware of Django's that serves sessions: other requests pass it by, and save a tenth of a read."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if may_have_session(request):
            return super().__call__(request)  # type: ignore[misc]  # a mixin
        return self.get_response(request)  # type: ignore[attr-defined]  # a mixin


class Sessions(OnlyForSessions, SessionMiddleware):
    """`request.session`."""


class SessionUsers(OnlyForSessions, AuthenticationMiddleware):
    """`request.user` by session; tokens are DRF's business."""


class SessionMessages(OnlyForSessions, MessageMiddleware):
    """What an admin page says once."""


class ChunkedBody:
    """Gives a body without Content-Length the length that it has, or 413; at most MAX_BODY_BYTES are read.

    Django and DRF take a missing length for 0: a chunked PATCH was a 200 that changed nothing.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.META.get("CONTENT_LENGTH") and "chunked" in request.headers.get("Transfer-Encoding", "").lower():
            most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            body = read_at_most(request.META["wsgi.input"], most + 1)
            if len(body) > most:
                return respond_with(BodyTooLarge(most))
            request.META["CONTENT_LENGTH"] = str(len(body))
            request._stream = BytesIO(body)  # what Django reads a body from
        return self.get_response(request)


def read_at_most(stream: IO[bytes], size: int) -> bytes:
    """Up to `size` bytes; a server may hand out a chunk at a time."""
    body = b""
    while len(body) < size and (piece := stream.read(size - len(body))):
        body += piece
    return body


class OptionalSlash:
    """`/api/v1/products` is `/api/v1/products/`, without a redirect, which would turn a POST into a GET."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if not path.endswith("/") and not is_valid_path(path) and is_valid_path(f"{path}/"):
            request.path_info += "/"
            request.path += "/"
        return self.get_response(request)
