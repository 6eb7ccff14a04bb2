"""The outermost layer: a request gets its record, its whole body, its session if it has one, its missing slash."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from http import HTTPStatus
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import DatabaseError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware import gzip
from django.middleware.csp import ContentSecurityPolicyMiddleware
from django.urls import is_valid_path
from django.utils.cache import patch_vary_headers
from django.utils.text import compress_sequence, compress_string

from config.api.access.devices import SIGNED_IN, remember_device
from config.api.access.throttling import find_rate_headers
from config.api.database.authorship import ACTOR, CALLER, sign_writes
from config.api.database.wal_positions import read_written_position
from config.api.freshness.leases import acknowledge, has_committed
from config.api.gates.asked import DECODED_PATH
from config.api.gates.cache_gate import AT_THE_GATE, CACHE, Answer
from config.api.gates.records import CACHE_STATE, RequestRecord
from config.api.problems.error_handler import respond_to
from config.api.problems.errors import ApiError
from config.api.rendering.encodings import CODINGS, IDENTITY, LEAST_COMPRESSED, choose_coding, compress, compress_blocks
from config.serving.bodies import BodyRule, When, find_rule, has_body, read_at_most, read_length

type GetResponse = Callable[[HttpRequest], HttpResponseBase]

POLICY_OF_JSON = "default-src 'none'; frame-ancestors 'none'"

# What these write, such as a session, is nobody's change of the catalogue.
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class CacheTwin:
    """What CacheGate does before Django, for whoever calls Django without it: the test client, runserver."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if AT_THE_GATE in request.META:
            return self.get_response(request)
        request.META[DECODED_PATH] = request.path_info
        with acknowledge():
            # DRF's test client may sign somebody in past the headers.
            is_plain = getattr(request, "_force_auth_user", None) is None
            answer = CACHE.answer(request.META, lambda _: self.run(request)) if is_plain else None
            if answer is None:
                return self.get_response(request)
        status, headers, body = answer
        response = HttpResponse(body, status=int(status[:3]))
        del response.headers["Content-Type"]
        for name, value in headers:
            response.headers[name] = value
        return response

    def run(self, request: HttpRequest) -> Answer:
        response = self.get_response(request)
        assert isinstance(response, HttpResponse)  # no route of the cache's streams
        return f"{response.status_code} {response.reason_phrase}", list(response.items()), response.content


class AccessLog:
    """`X-Request-ID`, `X-Cache` and `Server-Timing` on every answer, and one log line."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with RequestRecord.find(request.META) as record:
            request.request_id = record.id  # type: ignore[attr-defined]  # read by the problem documents
            # A thread serves one request after the other: each begins as nobody's.
            nobody = ACTOR.set("")
            try:
                with sign_writes() if request.method not in SAFE_METHODS else nullcontext():
                    response = self.get_response(request)
            finally:
                ACTOR.reset(nobody)
            self.mark(request, response, record)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """What Django's own views (sign-in to the admin) are refused; DRF's answer for themselves."""
        return respond_to(request, exception) if isinstance(exception, ApiError) else None

    def mark(self, request: HttpRequest, response: HttpResponseBase, record: RequestRecord) -> None:
        if SIGNED_IN in request.META:
            remember_device(request, response)
        if request.method not in SAFE_METHODS and has_committed():
            # It is written, whatever becomes of the question.
            with suppress(DatabaseError):
                response["X-Data-Version"] = str(read_written_position())
        if request.method == "GET":
            response.setdefault("X-Cache", request.META.get(CACHE_STATE, "bypass"))
        headers = record.finish(
            response.status_code,
            len(response.content) if isinstance(response, HttpResponse) else None,
            response.get("X-Cache", "bypass"),
            getattr(response, "render_seconds", 0.0),
            path=request.path,
            route=request.resolver_match.route if request.resolver_match else None,
            rows=getattr(response, "rows", None),
            # The user only if something asked who it is: a log line must not cost a query.
            user_id=request.META.get(CALLER),
        )
        for name, value in (headers | find_rate_headers(request.META)).items():
            response[name] = value


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


# How much of a file is flushed at once: in the 4 kB that Django reads, a script of 1.6 MB took 1.3 to 1.6 times the CPU
# and came out 2 to 7 % longer.
FILE_BLOCK_BYTES = 65_536


# A piece of a file, which its range counts in bytes as they are, and an answer without a body.
UNPACKED = (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.NOT_MODIFIED)


class GZipMiddleware(gzip.GZipMiddleware):
    """Django's, in the coding that every door chooses: zstd, brotli or gzip.

    A browser sends cookies by itself, also for a page of somebody else's, who may then learn a secret of the answer
    from its length (BREACH). Django pads gzip against that; zstd and brotli have no place for it that each client
    skips. So a request with a cookie gets gzip, padded, and nothing else. A token is never sent unasked.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_short = isinstance(response, HttpResponse) and len(response.content) < LEAST_COMPRESSED
        if is_short or response.has_header("Content-Encoding"):
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        if response.status_code in UNPACKED:
            return response
        is_padded = bool(request.COOKIES)
        coding = choose_coding(request.META.get("HTTP_ACCEPT_ENCODING", ""), ("gzip",) if is_padded else CODINGS)
        if coding != IDENTITY and self.pack(response, coding, is_padded):
            response.headers["Content-Encoding"] = coding
            weaken_etag(response)
        return response

    def pack(self, response: Any, coding: str, is_padded: bool) -> bool:
        """Whether it became shorter; of a stream nobody knows."""
        if isinstance(response, StreamingHttpResponse):
            self.pack_stream(response, coding, is_padded)
            return True
        body = response.content
        packed = compress_string(body, max_random_bytes=self.max_random_bytes) if is_padded else compress(body, coding)
        if len(packed) >= len(body):
            return False
        response.content = packed
        response.headers["Content-Length"] = str(len(packed))
        return True

    def pack_stream(self, response: Any, coding: str, is_padded: bool) -> None:
        if isinstance(response, FileResponse):
            response.block_size = FILE_BLOCK_BYTES
        blocks = response.streaming_content
        padded = compress_sequence(blocks, max_random_bytes=self.max_random_bytes) if is_padded else None
        response.streaming_content = padded or compress_blocks(blocks, coding)
        del response.headers["Content-Length"]


def weaken_etag(response: HttpResponseBase) -> None:
    """A strong one says that all bytes are the same (RFC 9110, 8.8.1)."""
    etag = response.headers.get("ETag", "")
    if etag.startswith('"'):
        response.headers["ETag"] = f"W/{etag}"


class ContentPolicy(ContentSecurityPolicyMiddleware):
    """Django's for pages; JSON, a refusal's too, is no page: nothing to load, nothing to frame."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if "json" in response.headers.get("Content-Type", ""):
            response.headers["Content-Security-Policy"] = POLICY_OF_JSON
        return super().process_response(request, response)


class BodyLimit:
    """413 for a body that is larger than its route takes; one without Content-Length gets the length that it has.

    Django and DRF take a missing length for 0: a chunked PATCH was a 200 that changed nothing. Behind the request
    slots such a body has been read, and has its length.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not has_body(request.META):
            return self.get_response(request)
        rule = find_rule(request.META)
        with self.measure(request, rule):
            if (read_length(request.META) or 0) > rule.limit:
                return respond_to(request, rule.refuse())
            return self.get_response(request)

    def measure(self, request: HttpRequest, rule: BodyRule) -> AbstractContextManager[Any]:
        """Read a body that has no length, unless its view does, up to a byte past its limit; the context closes it."""
        if read_length(request.META) is not None or rule.when is When.NEVER:
            return nullcontext()
        request._stream = request.META["wsgi.input"]  # what Django reads a body from
        if rule.when is When.STREAMED:
            return nullcontext()
        body: Any
        body, size = read_at_most(request._stream, rule.limit + 1)
        request._stream, request.META["CONTENT_LENGTH"] = body, str(size)
        return closing(body)


class TextPath:
    """404 for a path with a NUL character: no row's key has one, and no database takes one in a text."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\0" in request.path_info:
            raise Http404
        return self.get_response(request)


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
