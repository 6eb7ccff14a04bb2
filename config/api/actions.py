"""A request's path in, the view and the action that read it out; for whoever answers before Django."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.urls import Resolver404, resolve

from config.api.viewsets import ShapedViewSet

type Environ = dict[str, Any]
type StartResponse = Callable[..., Any]


@dataclass(frozen=True)
class Action:
    """What a path leads to; `path` as the API writes it, with its slash."""

    view: type[ShapedViewSet]
    action: str
    arguments: dict[str, Any]
    route: str
    path: str


# Characters; nothing that is kept by its path has a longer one.
LONGEST_PATH = 1024


def find_action(path: str) -> Action | None:
    """None where a GET of `path` is Django's alone."""
    return match_path(path) if len(path) <= LONGEST_PATH else None


@lru_cache(maxsize=4096)
def match_path(path: str) -> Action | None:
    try:
        match = resolve(path)
    except Resolver404:
        # As OptionalSlash has it.
        return None if path.endswith("/") else match_path(f"{path}/")
    view, actions = getattr(match.func, "cls", None), getattr(match.func, "actions", None) or {}
    if view is None or not issubclass(view, ShapedViewSet) or actions.get("get") not in view.gated:
        return None
    return Action(view, actions["get"], match.kwargs, match.route, path)


def read_scheme(environ: Environ) -> str:
    """As Django's request.scheme."""
    if settings.SECURE_PROXY_SSL_HEADER:
        name, secure = settings.SECURE_PROXY_SSL_HEADER
        if (value := environ.get(name)) is not None:
            return "https" if value.split(",", 1)[0].strip() == secure else "http"
    return str(environ["wsgi.url_scheme"])


def read_host(environ: Environ) -> str:
    """As it was asked for; Django refuses the ones that aren't ours, and a refusal is never kept."""
    return environ.get("HTTP_HOST") or f"{environ.get('SERVER_NAME')}:{environ.get('SERVER_PORT')}"
