"""Django's outermost middleware: cache, access log, limits of bodies, sessions, optional slash."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import BadRequest
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csp import ContentSecurityPolicyMiddleware
from django.urls import is_valid_path
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin

from config.api.access.devices import SIGNED_IN, remember_device
from config.api.access.throttling import find_rate_headers
from config.api.database.authorship import ACTOR, CALLER, ENVIRON, sign_writes
from config.api.database.recent_writes import FAILED, RECENT_WRITES
from config.api.database.wal_positions import read_written_position
from config.api.freshness.commits import acknowledge, has_committed
from config.api.gates.cache_gate import AT_THE_GATE, CACHE, Answer
from config.api.gates.records import CACHE_STATE, RequestRecord
from config.api.gates.request import DECODED_PATH
from config.api.problems.error_handler import respond_to
from config.api.problems.errors import ApiError, InvalidHeader
from config.serving.bodies import BodyRule, When, find_rule, has_body, read_at_most, read_length
from config.serving.file_forms import refuse_file_form

type GetResponse = Callable[[HttpRequest], HttpResponseBase]

POLICY_OF_JSON = "default-src 'none'; frame-ancestors 'none'"

# These methods may write too, such as a session, but never the catalogue.
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class CacheTwin:
    """The cache for requests that didn't come through CacheGate: those of the test client and runserver."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if AT_THE_GATE in request.META:
            return self.get_response(request)
        request.META[DECODED_PATH] = request.path_info
        with acknowledge():
            # DRF's test client may sign a user in without headers.
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
        assert isinstance(response, HttpResponse)  # no cached route streams
        return f"{response.status_code} {response.reason_phrase}", list(response.items()), response.content


class AccessLog:
    """`X-Request-ID`, `X-Cache` and `Server-Timing` on every answer, and one log line."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with RequestRecord.find(request.META) as record:
            # A thread serves many requests, so each begins without an author.
            is_write = request.method not in SAFE_METHODS
            nobody, nowhere = ACTOR.set(""), ENVIRON.set(request.META if is_write else None)
            FAILED.set(None)
            try:
                with sign_writes() if is_write else nullcontext():
                    response = self.get_response(request)
            finally:
                ACTOR.reset(nobody)
                ENVIRON.reset(nowhere)
            self.mark(request, response, record)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Answer ApiErrors of Django's own views, such as the admin's sign-in. DRF's views answer them themselves."""
        return respond_to(request, exception) if isinstance(exception, ApiError) else None

    def mark(self, request: HttpRequest, response: HttpResponseBase, record: RequestRecord) -> None:
        if SIGNED_IN in request.META:
            remember_device(request, response)
        if request.method not in SAFE_METHODS:
            RECENT_WRITES.note_request(is_done := has_committed())
            if is_done:
                # The write is done even if this query fails.
                with suppress(DatabaseError):
                    response["X-Data-Version"] = str(read_written_position())
        if "Cache-Control" not in response and request.path_info.startswith("/api/"):
            response["Cache-Control"] = "private, no-cache"
            patch_vary_headers(response, ("Authorization", "Cookie"))
        if settings.CORS and request.path_info.startswith("/api/"):
            patch_vary_headers(response, ("Origin",))
        if request.method == "GET":
            response.setdefault("X-Cache", request.META.get(CACHE_STATE, "bypass"))
        headers = record.finish(
            response.status_code,
            len(response.content) if isinstance(response, HttpResponse) else None,
            response.get("X-Cache", "bypass"),
            getattr(response, "render_seconds", 0.0),
            path=request.path_info,
            route=request.resolver_match.route if request.resolver_match else None,
            rows=getattr(response, "rows", None),
            # Only if the request has read the user anyway: a log line must not cost a query.
            user_id=request.META.get(CALLER),
        )
        for name, value in (headers | find_rate_headers(request.META)).items():
            response[name] = value


def may_have_session(request: HttpRequest) -> bool:
    """Whether the request may use a session. A program's request doesn't: it has no cookies and calls the API."""
    path = request.path_info
    return bool(request.COOKIES) or not path.startswith("/api/") or path.startswith("/api/v1/auth/session/")


class OnlyForSessions(MiddlewareMixin):
    """A mixin for Django's session middleware. Requests without a session skip it, which saves a tenth of a read."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if may_have_session(request):
            return super().__call__(request)
        return self.get_response(request)


class Sessions(OnlyForSessions, SessionMiddleware):
    """Sets `request.session`."""


class SessionUsers(OnlyForSessions, AuthenticationMiddleware):
    """Sets `request.user` from the session. DRF handles tokens."""


class SessionMessages(OnlyForSessions, MessageMiddleware):
    """One-time messages of the admin's pages."""


class RedirectWrites:
    """Changes a write's redirect to a 308. After Django's 301 to HTTPS, clients would send a GET without the body."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code == HTTPStatus.MOVED_PERMANENTLY and request.method not in ("GET", "HEAD"):
            response.status_code = HTTPStatus.PERMANENT_REDIRECT
        return response


class ContentPolicy(ContentSecurityPolicyMiddleware):
    """Django's policy for pages. JSON gets a policy that forbids loading and framing anything."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if "json" in response.headers.get("Content-Type", ""):
            response.headers["Content-Security-Policy"] = POLICY_OF_JSON
        return super().process_response(request, response)


# The remedy for a condition that isn't checked.
WITHOUT = "Nothing was written. Leave it out, or write a single row by PUT, PATCH or DELETE with If-Match."


class BodyLimit:
    """Answers 413 for a body above its route's limit, and sets the Content-Length of a chunked body.

    Django and DRF take a missing length as 0, so a chunked PATCH would be a 200 that changes nothing. In a server, the
    request slots have already read such a body and set its length.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not has_body(request.META):
            return self.get_response(request)
        rule, length = find_rule(request.META), read_length(request.META)
        with self.measure(request, rule, length) as size:
            if size > rule.limit:
                return respond_to(request, rule.refuse())
            return self.get_response(request)

    @contextmanager
    def measure(self, request: HttpRequest, rule: BodyRule, length: int | None) -> Iterator[int]:
        """The size of the body, which is open within the block.

        A body without a length is read, up to one byte more than the limit, unless its view streams it.
        """
        if length is not None or rule.when is When.NEVER:
            yield length or 0
            return
        request._stream = request.META["wsgi.input"]  # Django reads the body from it
        if rule.when is When.STREAMED:
            yield 0
            return
        body: Any
        body, size = read_at_most(request._stream, rule.limit + 1)
        request._stream, request.META["CONTENT_LENGTH"] = body, str(size)
        with closing(body):
            yield size

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        """Before the CSRF check, which reads a form."""
        return refuse_file_form(request) if request.method == "POST" else None


class TextPath:
    """Answers 404 for a path with a NUL character: no key has one, and databases don't accept it in texts.

    A page with one in its query is a 400. The API names the parameter itself.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\0" in request.path_info:
            raise Http404
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        if not hasattr(view, "cls") and any("\0" in value for _, values in request.GET.lists() for value in values):
            raise BadRequest("The address has a NUL character (%00), which no text may have.")


class Preconditions:
    """Answers 400 to a write with a condition (`If-Match`, `If-None-Match`, `If-Unmodified-Since`) that nobody checks.

    The view would write even if the condition were false.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        kind, method = getattr(view, "cls", None), request.method
        if kind is None or method in ("GET", "HEAD", "OPTIONS") or not has_method(view, str(method).lower()):
            return None  # a method that the view doesn't have is a 405, whatever the headers are
        checked = ("If-Match",) if method in getattr(kind, "conditional_methods", ()) else ()
        if "If-Match" in request.headers:
            checked = (*checked, "If-Unmodified-Since")  # RFC 9110: If-Match is what counts
        for name in ("If-Match", "If-None-Match", "If-Unmodified-Since"):
            if name in request.headers and name not in checked:
                return respond_to(request, InvalidHeader(name, f"This {method} compares no {name}.", WITHOUT))
        return None


def has_method(view: Any, name: str) -> bool:
    """Whether a DRF view has the method `name`, such as `post`. A viewset maps methods to actions."""
    actions: dict[str, str] | None = getattr(view, "actions", None)
    return name in actions if actions is not None else hasattr(view.cls, name)


class OptionalSlash:
    """Serves `/api/v1/products` like `/api/v1/products/`, without a redirect, which would turn a POST into a GET.

    And the other way round: `/api/v1/exports/products.csv/` like the address without the slash.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
        if not is_valid_path(path) and is_valid_path(other):
            request.path = request.path.removesuffix(path) + other
            request.path_info = other
        return self.get_response(request)
