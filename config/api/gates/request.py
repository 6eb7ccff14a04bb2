"""Reads a WSGI request as a GateRequest, by the same rules as Django. All gates use it.

A gate may answer in place of Django only if a GateRequest has all that the answer depends on. `read_gate_request`
returns None for other requests. Each gate decides whether it answers requests with tokens or conditions, and HEAD.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import get_path_info
from django.urls import Resolver404, resolve

from config.api.reads.plans import Query, read_query
from config.api.rendering.renderers import is_json_accepted
from config.api.viewsets import ShapedViewSet

type Environ = dict[str, Any]
type StartResponse = Callable[..., Any]


@dataclass(frozen=True)
class Action:
    """The viewset and the name of its action that a path leads to.

    `arguments` are the variables in the path, `route` is its pattern, and `path` ends with a slash.
    """

    view: type[ShapedViewSet]
    action: str
    arguments: dict[str, Any]
    route: str
    path: str


@dataclass(frozen=True)
class GateRequest:
    """A GET or HEAD for JSON that a gate may answer before Django.

    `origin` is the beginning of addresses: scheme, host and sub-path, such as `https://shop.example/eu`.
    """

    action: Action
    origin: str
    query: Query


# Characters. A longer path goes to Django, since paths are remembered and must be small.
LONGEST_PATH = 1024

# The environ's key of the path that Django has decoded. The cache's middleware sets it.
DECODED_PATH = "tenfold.decoded_path"

# The environ's key of the GateRequest, so that two gates read the request only once.
GATE_REQUEST = "tenfold.gate_request"


def read_gate_request(environ: Environ) -> GateRequest | None:
    """The request for a gate. None if only Django may answer it: a write, a request with a session, an HTML page, or a
    query string that is an error.
    """
    if GATE_REQUEST not in environ:
        environ[GATE_REQUEST] = parse_request(environ)
    request: GateRequest | None = environ[GATE_REQUEST]
    return request


def parse_request(environ: Environ) -> GateRequest | None:
    if not is_plain_read(environ) or not (action := find_action(environ)):
        return None
    query = read_query(environ.get("QUERY_STRING", ""))
    if query is None or not is_json_accepted(environ.get("HTTP_ACCEPT", ""), action.view.renderer_classes):
        return None
    return GateRequest(action, read_origin(environ), query)


def is_plain_read(environ: Environ) -> bool:
    """Whether the request is a GET or HEAD without cookie, If-Match and body."""
    get = environ.get
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD") or get("HTTP_COOKIE") or get("HTTP_IF_MATCH"):
        return False
    return get("CONTENT_LENGTH") in (None, "", "0") and "HTTP_TRANSFER_ENCODING" not in environ


def find_action(environ: Environ) -> Action | None:
    """The action of a GET of the path; None if only Django may answer it."""
    path = read_path(environ)
    return match_path(path) if len(path) <= LONGEST_PATH and "\0" not in path else None


def read_path(environ: Environ) -> str:
    """The path as text. WSGI gives its UTF-8 bytes as Latin-1 letters (PEP 3333), and Django decodes them."""
    path: str = environ["PATH_INFO"]
    return path if path.isascii() else environ.get(DECODED_PATH) or get_path_info(environ)


@lru_cache(maxsize=4096)
def match_path(path: str) -> Action | None:
    try:
        match = resolve(path)
    except Resolver404:
        # The middleware OptionalSlash also tries the path with a slash.
        return None if path.endswith("/") else match_path(f"{path}/")
    view, actions = getattr(match.func, "cls", None), getattr(match.func, "actions", None) or {}
    if view is None or not issubclass(view, ShapedViewSet) or actions.get("get") not in view.gated:
        return None
    return Action(view, actions["get"], match.kwargs, match.route, path)


def read_origin(environ: Environ) -> str:
    """Scheme, host and sub-path, as `find_origin` gives them to a view.

    If the host isn't allowed, Django answers 400, which isn't cached.
    """
    scheme, host = read_scheme(environ), environ.get("HTTP_HOST")
    if host is None:
        port = str(environ["SERVER_PORT"])
        is_usual = port == ("443" if scheme == "https" else "80")
        host = environ["SERVER_NAME"] if is_usual else f"{environ['SERVER_NAME']}:{port}"
    return f"{scheme}://{host}{environ.get('SCRIPT_NAME', '')}"


def read_scheme(environ: Environ) -> str:
    """What Django's `request.scheme` gives."""
    if settings.SECURE_PROXY_SSL_HEADER:
        name, secure = settings.SECURE_PROXY_SSL_HEADER
        if (value := environ.get(name)) is not None:
            return "https" if value.split(",", 1)[0].strip() == secure else "http"
    return str(environ["wsgi.url_scheme"])
