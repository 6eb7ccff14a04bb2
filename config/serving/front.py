"""WSGI in, WSGI out: finds the client, and answers probes and requests without a Host before the gates and Django.

A probe calls a process by its IP address (`Host: 10.0.0.7:8000`), so any Host is allowed. Its body isn't read, and it
waits for nothing that other requests may hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIRequest

from config.api.gates.records import RequestRecord
from config.api.problems.error_handler import BadRequest
from config.api.problems.errors import Overloaded
from config.operation.health import show_alive, show_ready
from config.operation.scrape import show_metrics
from config.process.capacity import MOST_PROBES, MOST_PROBES_WAITING
from config.serving.forwarded import use_forwarded
from config.serving.refusals import Environ, StartResponse, refuse
from config.serving.shares import Share

# Views by path. They answer GET and HEAD, and 405 for other methods. If they use the database, they do so in their own
# thread.
PROBES: dict[str, Callable[[WSGIRequest], Any]] = {
    "/livez": convert_exception_to_response(show_alive),
    "/readyz": convert_exception_to_response(show_ready),
    "/metrics": convert_exception_to_response(show_metrics),
}


class Front:
    """Wraps `application`."""

    def __init__(self, application: Callable[[Environ, StartResponse], Iterable[bytes]]) -> None:
        self.application = application
        # A flood of probes must leave the processor to others, and one kind of them must not hold up another.
        self.shares = {path: Share(range(MOST_PROBES), MOST_PROBES_WAITING) for path in PROBES}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if settings.PROXY_HEADER == "Forwarded":
            use_forwarded(environ, settings.TRUSTED_PROXIES)
        if probe := PROBES.get(environ["PATH_INFO"]):
            try:
                with self.shares[environ["PATH_INFO"]].hold(environ):
                    return answer_probe(probe, environ, start_response)
            except Overloaded as overloaded:
                return refuse(overloaded, environ, start_response)
        if "HTTP_HOST" not in environ:
            error = BadRequest("The request has no Host header.", "Send one; HTTP/1.1 requires it.")
            return refuse(error, environ, start_response)
        return self.application(environ, start_response)


def answer_probe(probe: Any, environ: Environ, start_response: StartResponse) -> list[bytes]:
    path = environ["PATH_INFO"]
    with RequestRecord.find(environ) as record:
        response = probe(WSGIRequest(environ))
        size, where = len(response.content), {"path": path, "route": path[1:]}
        for name, value in record.finish(response.status_code, size, "bypass", 0.0, **where).items():
            response[name] = value
        response["Content-Length"] = str(size)
    start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
    return [response.content]
