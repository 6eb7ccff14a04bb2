"""A request in, a function out that reads the request's caller anew: as if the same request came again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from io import BytesIO
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from config.api.access.permissions import Caller
from config.api.access.throttling import find_client

SESSIONS = SessionMiddleware(lambda request: HttpResponse())
USERS = AuthenticationMiddleware(lambda request: HttpResponse())


def name_credentials(request: Request) -> Hashable:
    """Requests with the same name have the same caller."""
    return find_client(request.META), request.headers.get("Authorization"), request.headers.get("Cookie")


def follow_caller(request: Request, view: type[APIView]) -> Callable[[], Caller]:
    """Raises NotAuthenticated or PermissionDenied once the caller may no longer use `view`."""
    environ = {name: value for name, value in request.META.items() if isinstance(value, str)}

    def find() -> Caller:
        fresh: Any = view()
        fresh.request = fresh.initialize_request(make_request(environ))
        fresh.perform_authentication(fresh.request)
        fresh.check_permissions(fresh.request)
        caller: Caller = fresh.request.user
        return caller

    return find


def make_request(environ: dict[str, Any]) -> WSGIRequest:
    request = WSGIRequest({**environ, "wsgi.input": BytesIO()})
    SESSIONS.process_request(request)
    USERS.process_request(request)
    return request
