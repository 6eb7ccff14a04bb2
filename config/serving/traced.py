"""WSGI in, WSGI out: a span around each request, also one that the cache answers. Only a setting loads this module."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import SpanKind

from config.api.gates.records import RECORD
from config.api.gates.request import Environ, StartResponse, find_action
from config.redaction import redact
from config.serving.front import PROBES
from config.serving.slots import is_stream
from config.telemetry.tracer import Current, OtelSpan


class Headers(Getter[Environ]):
    """The headers of an environ, such as `traceparent`."""

    def get(self, carrier: Environ, key: str) -> list[str] | None:
        value = carrier.get(f"HTTP_{key.upper().replace('-', '_')}")
        return None if value is None else [value]

    def keys(self, carrier: Environ) -> list[str]:
        return []


HEADERS = Headers()
# The attributes that are headers of the answer.
NOTED = {"tenfold.request_id": "X-Request-ID", "tenfold.cache": "X-Cache"}


class Traced:
    """Wraps `application`, outside of everything else of ours. Probes get no spans."""

    def __init__(self, application: Callable[[Environ, StartResponse], Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] in PROBES:
            return self.application(environ, start_response)
        span = begin_span(environ)
        given: list[tuple[str, dict[str, str]]] = []

        def note(status: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            given.append((status, dict(headers)))
            return start_response(status, headers, *failure)

        with use(span), end_on_error(span):
            response = self.application(environ, note)
            describe(span, environ, *given[-1])
        if is_stream(response):
            return TracedStream(response, span)
        span.end()
        return response


def begin_span(environ: Environ) -> trace.Span:
    """A span of the caller's trace, if the request has `traceparent`; else of a new one."""
    # Without the query string, since it may hold a signed link.
    about = {
        "http.request.method": environ["REQUEST_METHOD"],
        "url.path": redact(environ["PATH_INFO"]),
        "url.scheme": environ["wsgi.url_scheme"],
    }
    caller = extract(environ, getter=HEADERS)
    return Current.tracer.start_span(environ["REQUEST_METHOD"], caller, SpanKind.SERVER, about)


def use(span: trace.Span) -> Any:
    return trace.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False)


@contextmanager
def end_on_error(span: trace.Span) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        OtelSpan(span).fail(type(error).__qualname__)
        span.end()
        raise


def describe(span: trace.Span, environ: Environ, status: str, headers: dict[str, str]) -> None:
    code = int(status[:3])
    about: dict[str, str | int] = {"http.response.status_code": code}
    for attribute, name in NOTED.items():
        if name in headers:
            about[attribute] = headers[name]
    if route := find_route(environ):
        about["http.route"] = route
        span.update_name(f"{environ['REQUEST_METHOD']} {route}")
    ours = OtelSpan(span)
    ours.note(about)
    if code >= 500:
        ours.fail(str(code))


def find_route(environ: Environ) -> str | None:
    """The route of the request's record. An answer of the cache has none, and its action tells."""
    if RECORD in environ:
        route: str | None = environ[RECORD].route
        return route
    action = find_action(environ)
    return action.route if action else None


class TracedStream:
    """A body that is made while it is sent. Its span ends when the server closes it."""

    def __init__(self, response: Any, span: trace.Span) -> None:
        self.response, self.span = response, span
        self.blocks = self.read()

    def __iter__(self) -> Iterator[bytes]:
        return self.blocks

    def read(self) -> Generator[bytes]:
        with use(self.span), end_on_error(self.span):
            yield from self.response

    def close(self) -> None:
        try:
            # It may not have come to its end, and its thread must leave the span.
            self.blocks.close()
            if close := getattr(self.response, "close", None):
                close()
        finally:
            self.span.end()
