"""Sends a problem document over WSGI, without Django: under overload an error must be cheap."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from config.api.gates.records import RequestRecord
from config.api.problems.error_handler import UNSHARED, build_problem, find_headers
from config.api.problems.errors import ApiError
from config.api.rendering.renderers import PROBLEM_TYPE, write_json
from config.logs import REQUEST_ID

type Environ = dict[str, Any]
type StartResponse = Callable[..., Any]


def refuse(error: ApiError, environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Answer with the error's status, headers and problem document."""
    request_id = RequestRecord(environ).id
    token = REQUEST_ID.set(request_id)
    try:
        body = write_json(build_problem(error))
    finally:
        REQUEST_ID.reset(token)
    headers = {
        "Content-Type": PROBLEM_TYPE,
        "Content-Length": str(len(body)),
        **UNSHARED,
        "X-Request-ID": request_id,
        **dict(find_headers(error)),
    }
    status = HTTPStatus(error.status_code)
    start_response(f"{status.value} {status.phrase}", list(headers.items()))
    return [body]
