"""An exception in, a problem document (RFC 9457) out.

DRF's views call `handle_exception`. Django calls the `answer_…` functions for errors outside those views.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost, PermissionDenied, RequestDataTooBig
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from rest_framework.exceptions import APIException, AuthenticationFailed, ErrorDetail, ValidationError
from rest_framework.exceptions import NotFound as DRFNotFound
from rest_framework.exceptions import PermissionDenied as DRFPermissionDenied
from rest_framework.response import Response

from config.api.problems.errors import (
    ApiError,
    BodyTooLarge,
    Conflict,
    Fault,
    InvalidBody,
    PoolerLosesStatements,
    Unavailable,
    find_limit,
    write_pointer,
)
from config.api.rendering.renderers import PROBLEM_TYPE, read_ranges, weigh, write_json
from config.logs import REQUEST_ID

logger = logging.getLogger("tenfold.errors")

# DRF's codes, and the codes that we send in their place.
CODES = {
    "parse_error": "malformed_json",
    "error": "bad_request",
    "invalid": "invalid_body",
}
# An error may tell what somebody may see, and may be over soon: no cache keeps it, and none gives it to others.
UNSHARED = {"Cache-Control": "no-store", "Vary": "Authorization, Cookie"}
# Hints for DRF's own errors, by code. An ApiError brings its own hint.
HINTS = {
    "not_authenticated": "Send Authorization: Token …; POST /api/v1/auth/login/ gives one.",
    "permission_denied": "An administrator of this server can grant the permission, to your user or to a group.",
    "method_not_allowed": "The header Allow names the methods that this address has.",
    "not_acceptable": "Send Accept: application/json.",
    "unsupported_media_type": "Send JSON, with Content-Type: application/json.",
}


def handle_exception(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. Returns None for a bug of ours: Django then calls `answer_server_error`."""
    error = find_api_error(exc)
    if error is None:
        return None
    response = Response(build_problem(error), status=error.status_code, headers=UNSHARED)
    for name, value in find_headers(error):
        response[name] = value
    response.exception = True
    return response


def find_api_error(exc: BaseException | None) -> APIException | None:
    """The API error for an exception of DRF, Django or the database; None for any other exception."""
    for kind, build in REFUSALS:
        if isinstance(exc, kind):
            return build(exc)
    return None


def refuse_for_database(exc: Exception) -> APIException:
    logger.error("The database failed: %s", exc)
    return (find_limit(exc) or Unavailable)()


# PostgreSQL's SQLSTATE for a write on a standby, or with default_transaction_read_only.
READ_ONLY = "25006"


def refuse_for_standby(exc: Exception) -> APIException | None:
    """The error if the database takes no writes; None for any other error."""
    return refuse_for_database(exc) if getattr(exc.__cause__, "sqlstate", None) == READ_ONLY else None


# PostgreSQL's SQLSTATEs for a prepared statement that doesn't exist, or exists already: the session is another one.
LOST_STATEMENTS = ("26000", "42P05")


def refuse_for_pooler(exc: Exception) -> APIException | None:
    """The error if a pooler has lost prepared statements; None for any other error."""
    if getattr(exc.__cause__, "sqlstate", None) not in LOST_STATEMENTS:
        return None
    logger.error("The database's pooler loses prepared statements; set DATABASE_PREPARE=false: %s", exc)
    return PoolerLosesStatements()


# The first match wins, so ValidationError stands before its parent APIException.
REFUSALS: tuple[tuple[type[Exception], Callable[[Any], APIException | None]], ...] = (
    (ValidationError, lambda exc: InvalidBody(list(find_faults(exc.detail)))),
    (APIException, lambda exc: exc),
    (Http404, lambda exc: DRFNotFound("There is nothing here, or nothing that you may see.")),
    (PermissionDenied, lambda exc: DRFPermissionDenied()),
    (
        DisallowedHost,
        lambda exc: BadRequest("The Host header names no host of this server.", "See ALLOWED_HOSTS."),
    ),
    (RequestDataTooBig, lambda exc: BodyTooLarge(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)),
    (OperationalError, refuse_for_database),
    (InterfaceError, refuse_for_database),
    (InternalError, refuse_for_standby),
    (ProgrammingError, refuse_for_pooler),
    (IntegrityError, lambda exc: Conflict("Another row already has this value, or still refers to the deleted one.")),
)


def build_problem(error: APIException) -> dict[str, Any]:
    """`{"type", "title", "status", "code", "detail", "hint", "request_id", "errors"}`."""
    code = str(error.default_code if isinstance(error, ApiError) else error.get_codes())
    code = CODES.get(code, code)
    return {
        "type": f"urn:tenfold:problem:{code}",
        "title": HTTPStatus(error.status_code).phrase,
        "status": int(error.status_code),
        "code": code,
        "detail": str(error.detail),
        "hint": find_hint(error, code),
        "request_id": REQUEST_ID.get() or None,
        "errors": [fault.as_dict() for fault in getattr(error, "faults", ())],
    }


def find_hint(error: APIException, code: str) -> str | None:
    own = getattr(error, "hint", "")
    words = str(type(error).default_detail).partition("{")[0]
    is_plain = not isinstance(error, ApiError) and str(error.detail).startswith(words)
    return own or (HINTS.get(code) if is_plain else None)


def find_faults(detail: Any, pointer: str = "") -> Iterator[Fault]:
    """Flattens DRF's nested lists and dicts of errors; each fault gets a JSON pointer (RFC 6901)."""
    match detail:
        case ErrorDetail():
            yield Fault(pointer, detail.code or "invalid", str(detail))
        case Mapping():
            for name, below in detail.items():
                yield from find_faults(
                    below, pointer if name == "non_field_errors" else pointer + write_pointer([name])
                )
        case list() | tuple():
            for index, below in enumerate(detail):
                inner = pointer if isinstance(below, ErrorDetail) else f"{pointer}/{index}"
                yield from find_faults(below, inner)


def find_headers(error: APIException) -> Iterator[tuple[str, str]]:
    if isinstance(error, AuthenticationFailed) or error.status_code == HTTPStatus.UNAUTHORIZED:
        yield "WWW-Authenticate", "Token"
    if wait := getattr(error, "wait", None):
        yield "Retry-After", str(int(wait))
    yield from getattr(error, "headers", {}).items()


def respond_with(error: APIException) -> HttpResponse:
    """A problem document as a Django response, for errors outside DRF."""
    headers = UNSHARED | dict(find_headers(error))
    body = write_json(build_problem(error))
    return HttpResponse(body, content_type=PROBLEM_TYPE, status=error.status_code, headers=headers)


def respond_to(request: HttpRequest, error: APIException) -> HttpResponse:
    """Like `respond_with`, but an HTML page if the client accepts HTML."""
    response = respond_with(error)
    ranges = read_ranges(request.headers.get("Accept", ""))
    if weigh(ranges, "text/html") > weigh(ranges, "application/json"):
        response.content = render_to_string("problem.html", {"problem": build_problem(error)})
        response["Content-Type"] = "text/html; charset=utf-8"
    patch_vary_headers(response, ["Accept"])
    return response


class BadRequest(ApiError):
    """Django rejected the request before any view ran: an unknown host, a malformed multipart body."""


class ServerError(ApiError):
    """A bug or failure of the server; the log has the traceback under the request id."""

    status_code = HTTPStatus.INTERNAL_SERVER_ERROR
    default_code = "server_error"

    def __init__(self) -> None:
        super().__init__("Something failed on our side; the log has it under the request id.")


# Django calls these (handler400 … handler500 in urls.py) for exceptions that no DRF view caught.


def answer_bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond_to(request, find_api_error(exception) or BadRequest("The request can't be read."))


def answer_forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond_to(request, DRFPermissionDenied())


def answer_csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return respond_to(request, DRFPermissionDenied(reason or None))


def answer_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond_to(request, DRFNotFound(f"There is nothing at {request.path}."))


def answer_server_error(request: HttpRequest) -> HttpResponse:
    return respond_to(request, find_api_error(sys.exc_info()[1]) or ServerError())
