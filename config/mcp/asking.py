"""Asks the API from within this process, as a caller: by the same middleware and views as over HTTP.

A request to ourselves over HTTP would need a second slot while the first one waits, and with one slot that is for ever.
"""

from functools import cache
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

import orjson
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIRequest

from config.api.tools.registry import Call, Json, Refused
from config.logs import REQUEST_ID

type Environ = dict[str, Any]

# What an answer may depend on, of the message's own request. Cookies are left out: an agent has a token.
OF_CALLER = (
    "REMOTE_ADDR", "SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "wsgi.url_scheme",
    "HTTP_AUTHORIZATION", "HTTP_HOST", "HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_PREFIX", "HTTP_USER_AGENT",
)  # fmt: skip


@cache
def load_handler() -> BaseHandler:
    """Django's middleware and views."""
    handler = BaseHandler()
    handler.load_middleware()
    return handler


def ask_as(caller: Environ, call: Call) -> Json:
    """The answer's JSON. Raises Refused if the status says that it is an error."""
    response: Any = load_handler().get_response(WSGIRequest(build_environ(caller, call)))
    content: Any = orjson.loads(response.content or b"null")
    if response.status_code >= 400:
        wait = {"retry_after": response["Retry-After"]} if "Retry-After" in response else {}
        raise Refused({**content, **wait})
    return content


def build_environ(caller: Environ, call: Call) -> Environ:
    body = b"" if call.body is None else orjson.dumps(call.body)
    own = {
        "REQUEST_METHOD": call.method,
        "PATH_INFO": unquote_to_bytes(f"/api/v1/{call.path}").decode("latin-1"),
        "QUERY_STRING": urlencode(call.query),
        "HTTP_ACCEPT": "application/json",
        "wsgi.input": BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
    }
    # The lines of both requests in the log have one id.
    given = {"HTTP_X_REQUEST_ID": REQUEST_ID.get(), "HTTP_IDEMPOTENCY_KEY": call.idempotency_key}
    kept = {name: caller[name] for name in OF_CALLER if name in caller}
    return kept | own | {name: value for name, value in given.items() if value}
