"""WSGI in, WSGI out: lets the scripts of other sites read the API (CORS), and answers their preflights before Django.

django-cors-headers decides which headers an origin gets. That depends on the settings and the origin only, so they are
made once for each origin, and put on outside the cache: a kept answer has none of them, and so is right for every
origin. It has `Vary: Origin`, which the middleware AccessLog adds, for the caches of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.http import HttpRequest, HttpResponse

from config.api.gates.records import RequestRecord
from config.process.bounded import BoundedMap
from config.serving.refusals import Environ, StartResponse

type Headers = list[tuple[str, str]]

# The paths whose answers other sites may read. Pages for people aren't among them.
PREFIX = "/api/"
# Origins that are remembered, known or not. Making the headers of one takes 50 microseconds.
GREATEST_NUMBER = 1024
# Characters. A longer origin has no headers, since patterns are compared with each new one.
LONGEST_ORIGIN = 300
# Headers of the answer that the headers are made with, and of the answers that they go to.
NOT_OURS = frozenset({"content-type", "content-length", "vary"})


class CrossOrigin:
    """Wraps `application` outside everything else, so that errors of the server have the headers, too."""

    def __init__(self, application: Callable[[Environ, StartResponse], Iterable[bytes]]) -> None:
        self.application = application
        self.known: BoundedMap[str, Headers] = BoundedMap(GREATEST_NUMBER)
        self.preflights: BoundedMap[str, Headers] = BoundedMap(GREATEST_NUMBER)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or not environ["PATH_INFO"].startswith(PREFIX):
            return self.application(environ, start_response)
        if environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            return self.answer_preflight(origin, environ, start_response)
        own = self.known.get(origin)
        if own is None:
            self.known.keep(origin, own := make_headers(origin, "GET"))
        if not own:
            return self.application(environ, start_response)

        def start(status: str, headers: Headers, *failure: Any) -> Any:
            return start_response(status, headers + own, *failure)

        return self.application(environ, start)

    def answer_preflight(self, origin: str, environ: Environ, start_response: StartResponse) -> list[bytes]:
        """The same answer for each address, query and method: whether the browser may ask at all."""
        own = self.preflights.get(origin)
        if own is None:
            self.preflights.keep(origin, own := make_headers(origin, "OPTIONS"))
        with RequestRecord.find(environ) as record:
            where = {"path": environ["PATH_INFO"], "route": "preflight"}
            line = record.finish(200, 0, "bypass", 0.0, **where)
        start_response("200 OK", [*own, ("Content-Length", "0"), ("Vary", "Origin"), *line.items()])
        return [b""]


def make_headers(origin: str, method: str) -> Headers:
    """The headers for answers to `origin`, of preflights by the method OPTIONS; none if the settings don't name it."""
    if len(origin) > LONGEST_ORIGIN:
        return []
    request = HttpRequest()
    request.method, request.path_info = method, PREFIX
    request.META["HTTP_ORIGIN"] = origin
    response = CorsMiddleware(lambda _: HttpResponse())(request)
    assert isinstance(response, HttpResponse)
    return [(name, value) for name, value in response.items() if name.lower() not in NOT_OURS]
