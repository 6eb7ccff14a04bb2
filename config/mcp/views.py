"""`/mcp`: the protocol over HTTP, one message a POST. There are no sessions, so there is nothing to GET or DELETE."""

from http import HTTPStatus
from importlib import import_module
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import AuthenticationFailed, MethodNotAllowed
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from config.api.access.sessions import SessionAuthentication
from config.api.access.throttling import RateLimit
from config.api.problems.error_handler import respond_with
from config.api.problems.errors import ApiError, MissingExtra


class ForeignOrigin(ApiError):
    """A browser sends the message for a page of another site, maybe one whose name now leads here (DNS rebinding)."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "foreign_origin"

    def __init__(self) -> None:
        super().__init__("Pages of other sites may not use /mcp.", "Send the message from a program, without Origin.")


# No cookie is read here, so another site's form can do nothing in its visitor's name.
@csrf_exempt
def serve_mcp(request: HttpRequest) -> HttpResponse:
    """The answer of the protocol's server. Raises ApiErrors, which the middleware answers."""
    if request.method != "POST":
        refusal = respond_with(MethodNotAllowed(str(request.method)))
        refusal["Allow"] = "POST"
        return refusal
    refuse_foreign(request)
    try:
        count_message(request)
    except AuthenticationFailed as error:
        return respond_with(error)
    answer = load_bridge().answer(request.META, request.body)
    response = HttpResponse(answer.body, status=answer.status, content_type=answer.content_type)
    response["Cache-Control"] = "no-store"
    return response


def refuse_foreign(request: HttpRequest) -> None:
    """Raise ForeignOrigin for another origin than our own, as the protocol's specification asks for."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.get_host()}":
        raise ForeignOrigin


def count_message(request: HttpRequest) -> None:
    """Count the message as a request of its token or address. Raises AuthenticationFailed, or TooManyRequests.

    What a tool then asks the API counts, too: without this, messages that use no tool would cost nothing.
    """
    found: Any = api_settings.DEFAULT_AUTHENTICATION_CLASSES
    kinds = [kind for kind in found if not issubclass(kind, SessionAuthentication)]
    RateLimit().allow_request(Request(request, authenticators=[kind() for kind in kinds]), APIView())


def load_bridge() -> Any:
    """The module that answers. Raises MissingExtra if its package isn't installed."""
    try:
        return import_module("config.mcp.bridge")
    except ModuleNotFoundError as error:
        raise MissingExtra("MCP", "mcp", "mcp") from error
