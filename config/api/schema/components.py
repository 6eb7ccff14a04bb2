"""Components of the OpenAPI document that many operations share: the problem, error responses, headers, examples.

The codes come from the error classes, the examples from `examples.json`. A test compares those with live answers.
"""

import inspect
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from rest_framework.exceptions import APIException, Throttled

from config.api.problems.error_handler import CODES
from config.api.problems.errors import ApiError
from config.api.reads.envelopes import COUNT_RELATION
from config.api.rendering.examples import read_examples
from config.api.rendering.renderers import PROBLEM_TYPE

type Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NULLABLE_TEXT: Schema = {"type": ["string", "null"]}

PROBLEM: Schema = {
    "type": "object",
    "description": "The body of every error (RFC 9457): `code` is for programs, `detail` and `hint` for people.",
    "required": ["type", "title", "status", "code", "detail", "hint", "request_id", "errors"],
    "properties": {
        "type": TEXT | {"format": "uri", "description": "`urn:tenfold:problem:` and the code."},
        "title": TEXT | {"description": "The status in words."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": TEXT | {"pattern": "^[a-z_]+$", "description": "One of the codes in the description of this API."},
        "detail": TEXT | {"description": "What is wrong, in a sentence."},
        "hint": NULLABLE_TEXT | {"description": "The remedy, if there is one, such as a similar name or a URL."},
        "request_id": NULLABLE_TEXT | {"description": "The same as the header `X-Request-ID`; our log has it too."},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
    },
}
FAULT: Schema = {
    "type": "object",
    "description": "One error in the request.",
    "required": ["pointer", "code", "detail"],
    "properties": {
        "pointer": TEXT | {"description": "A JSON pointer into the body, or `?name` for a query parameter."},
        "code": TEXT | {"description": "The kind of error: `required`, `max_length`, `unknown_member` …"},
        "detail": TEXT,
    },
}

HEADERS: dict[str, tuple[str, Schema]] = {
    "X-Request-ID": ("The id that the request had, or else a new one; the server's log has it too.", TEXT),
    "Server-Timing": ("The times of database, cache, rendering and all, in milliseconds.", TEXT),
    "X-Cache": ("Whether the answer came from the cache.", {"enum": ["hit", "miss", "stale", "bypass"]}),
    "Link": ("The next and the previous page (`rel=next`, `rel=prev`).", TEXT),
    "ETag": (
        "Send it as `If-None-Match`: 304 if nothing has changed. As `If-Match`: 412 if the row has changed.",
        TEXT,
    ),
    "Cache-Control": ("Who may store the answer, and for how long.", TEXT),
    "Location": ("The address of the new row.", {"type": "string", "format": "uri"}),
    "X-Changes-Cursor": ("The newest cursor of the change feed; HEAD has it too.", TEXT),
    "Idempotency-Replayed": ("The answer is an earlier request's with this key; nothing was done.", {"const": "true"}),
    "WWW-Authenticate": ("`Token`", TEXT),
    "RateLimit-Limit": ("The number of requests that a token or an address may make in a window.", {"type": "integer"}),
    "RateLimit-Remaining": ("The number of requests that are left.", {"type": "integer"}),
    "RateLimit-Reset": ("Seconds until the window ends.", {"type": "integer"}),
    "Retry-After": ("Seconds to wait.", {"type": "integer", "minimum": 0}),
}
ALWAYS = ("X-Request-ID", "Server-Timing")
EVERYWHERE = (*ALWAYS, "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")  # unless a rate is `off`
STATUS_HEADERS = {
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.CONFLICT: ("Retry-After",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}


# Meanings of codes for which DRF's sentence isn't enough.
MEANINGS = {
    "malformed_json": "The body is not JSON, or has a number or a character that can't be stored.",
}


# -- codes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Code:
    """A code of a problem document, its status, and what it means."""

    status: int
    name: str
    meaning: str


def find_subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for below in kind.__subclasses__():
        yield below
        yield from find_subclasses(below)


def list_codes() -> list[Code]:
    """Each code once. Our codes are described by their first class, DRF's by their sentence."""
    codes: dict[str, Code] = {}
    for kind in find_subclasses(ApiError):
        codes.setdefault(kind.default_code, Code(kind.status_code, kind.default_code, describe_error(kind)))
    for kind in find_subclasses(APIException):
        if kind.__module__ == APIException.__module__ and kind is not Throttled:  # throttling.py raises its own
            name = CODES.get(kind.default_code, kind.default_code)
            meaning = MEANINGS.get(name) or describe_error(kind)
            codes.setdefault(name, Code(kind.status_code, name, meaning))
    return sorted(codes.values())


def describe_error(kind: type[APIException]) -> str:
    """The first paragraph of the class's docstring, or DRF's sentence."""
    if issubclass(kind, ApiError):
        return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())
    return re.sub(r"[ ]?\"?\{\w+\}\"?", "", str(kind.default_detail))


def write_codes() -> str:
    """A table of the codes for the document's description."""
    rows = [f"| `{code.name}` | {code.status} | {code.meaning.replace('|', '/')} |" for code in list_codes()]
    return "\n".join(["| code | status | when |", "|---|---|---|", *rows])


# -- components -------------------------------------------------------------------------------------------------


def refer_to(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def refer_to_headers(*names: str) -> Schema:
    return {name: refer_to("headers", name) for name in names}


def build_components(paths: Schema) -> Schema:
    """The components of a document with these paths. An error that no operation names, such as 405, has none."""
    used = set(re.findall(r"Problem(\d+)", str(paths)))
    statuses = sorted(status for status in {code.status for code in list_codes()} if str(status) in used)
    return {
        "schemas": deepcopy({"Problem": PROBLEM, "Fault": FAULT, "CountRelation": COUNT_RELATION}),
        "headers": {name: build_header(name, *HEADERS[name]) for name in HEADERS},
        "responses": {f"Problem{status}": build_refusal(status) for status in statuses} | {"NotModified": NOT_MODIFIED},
    }


NOT_MODIFIED: Schema = {
    "description": "Nothing has changed since the answer with this `ETag`; there is no body.",
    "headers": refer_to_headers(*EVERYWHERE, "X-Cache", "ETag", "Cache-Control"),
}


def build_header(name: str, description: str, schema: Schema) -> Schema:
    return {"description": description, "required": name in ALWAYS, "schema": schema}


def build_refusal(status: int) -> Schema:
    """The error response `Problem<status>`, for all operations that may end with this status."""
    names = ", ".join(f"`{code.name}`" for code in list_codes() if code.status == status)
    names_of_headers = (*EVERYWHERE, *STATUS_HEADERS.get(HTTPStatus(status), ()))
    content = {"schema": refer_to("schemas", "Problem")} | build_examples(f"problem_{status}")
    return {
        "description": f"{HTTPStatus(status).phrase}: {names}",
        "headers": refer_to_headers(*names_of_headers),
        "content": {PROBLEM_TYPE: content},
    }


# -- examples ---------------------------------------------------------------------------------------------------


def find_example(operation: str) -> dict[str, Any]:
    """The first example of an operation's success, or {}."""
    for status in (HTTPStatus.OK, HTTPStatus.CREATED):
        for example in read_examples().get(f"{operation}_{status}", []):
            return example
    return {}


def build_examples(operation: str, member: str = "answer") -> Schema:
    """`{"examples": {…}}` for a media type, or {} if no example is stored."""
    stored = [example for example in read_examples().get(operation, []) if example.get(member) is not None]
    named = {f"example_{number}": describe_example(example, member) for number, example in enumerate(stored, start=1)}
    return {"examples": named} if named else {}


def describe_example(example: dict[str, Any], member: str) -> Schema:
    return {"summary": example["name"], "description": f"`{example['request']}`", "value": example[member]}
