"""WSGI in, WSGI out: lets the scripts of other sites read the API (CORS), and answers their preflights before Django.

django-cors-headers decides which headers an origin gets. That depends on the settings and the origin only, so they are
made once for each origin. The cache keeps answers without them, and puts them on a hit. So a kept answer is right for
every origin. It has `Vary: Origin`, which the middleware AccessLog adds, for the caches of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from config.api.gates.records import RequestRecord
from config.api.gates.request import Environ, StartResponse
from config.process.bounded import BoundedMap

type Headers = Sequence[tuple[str, str]]

# The paths whose answers other sites may read. Pages for people aren't among them.
PREFIX = "/api/"
# Origins that are remembered, allowed or not. Making the headers of one takes 50 microseconds.
GREATEST_NUMBER = 1024
# Characters. A longer origin has no headers, since patterns are compared with each new one.
LONGEST_ORIGIN = 300
# Headers of the answer that the headers are made with, and of the answers that they go to.
NOT_OURS = frozenset({"content-type", "content-length", "vary"})


class Origins(BoundedMap[str | None, Headers]):
    """`origins[origin]` are the headers of answers to it: none for None, and for an origin that isn't allowed."""

    def __init__(self, method: str = "GET") -> None:
        super().__init__(GREATEST_NUMBER)
        self.method = method

    def __missing__(self, origin: str | None) -> Headers:
        headers = make_headers(origin, self.method) if origin and settings.CORS else ()
        self.keep(origin, headers)
        return headers


def make_headers(origin: str, method: str) -> Headers:
    """The headers for answers to `origin`, of preflights by the method OPTIONS."""
    if len(origin) > LONGEST_ORIGIN:
        return ()
    request = HttpRequest()
    request.method, request.path_info = method, PREFIX
    request.META["HTTP_ORIGIN"] = origin
    response = CorsMiddleware(lambda _: HttpResponse())(request)
    assert isinstance(response, HttpResponse)
    return [(name, value) for name, value in response.items() if name.lower() not in NOT_OURS]


class CrossOrigin:
    """Wraps the application behind the cache's gate, which gives hits their headers itself."""

    def __init__(self, application: Callable[[Environ, StartResponse], Iterable[bytes]]) -> None:
        self.application = application
        self.known, self.preflights = Origins(), Origins("OPTIONS")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or not environ["PATH_INFO"].startswith(PREFIX):
            return self.application(environ, start_response)
        if environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            return self.answer_preflight(origin, environ, start_response)
        own = self.known[origin]

        def start(status: str, headers: Headers, *failure: Any) -> Any:
            return start_response(status, [*headers, *own], *failure)

        return self.application(environ, start)

    def answer_preflight(self, origin: str, environ: Environ, start_response: StartResponse) -> list[bytes]:
        """The same answer for each address, query and method: whether the browser may ask at all."""
        with RequestRecord.find(environ) as record:
            where = {"path": environ["PATH_INFO"], "route": "preflight"}
            line = record.finish(200, 0, "bypass", 0.0, **where)
        own = [("Content-Length", "0"), ("Vary", "Origin"), *line.items()]
        start_response("200 OK", [*self.preflights[origin], *own])
        return [b""]
