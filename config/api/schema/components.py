"""What many operations of the OpenAPI document share: the problem, the refusals by status, headers, examples.

All of it is derived: the codes from the classes that are raised, the examples from `examples.json`, whose answers
a test holds against live ones.
"""

import inspect
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
from rest_framework.exceptions import APIException, Throttled

from config.api.problems.error_handler import CODES
from config.api.problems.errors import ApiError
from config.api.rendering.renderers import PROBLEM_TYPE

EXAMPLES = Path(__file__).with_name("examples.json")

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
        "code": TEXT | {"pattern": "^[a-z_]+$", "description": "One of the codes that the document's head lists."},
        "detail": TEXT | {"description": "What is wrong, in a sentence."},
        "hint": NULLABLE_TEXT | {"description": "The way out, where there is one: a near match, or an address."},
        "request_id": NULLABLE_TEXT | {"description": "The same as the header `X-Request-ID`; our log has it."},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
    },
}
FAULT: Schema = {
    "type": "object",
    "description": "One thing that is wrong.",
    "required": ["pointer", "code", "detail"],
    "properties": {
        "pointer": TEXT | {"description": "A JSON pointer into the body, or `?name` for a query parameter."},
        "code": TEXT | {"description": "What kind of fault: `required`, `max_length`, `unknown_member` …"},
        "detail": TEXT,
    },
}

HEADERS: dict[str, tuple[str, Schema]] = {
    "X-Request-ID": ("The id that was sent, or else a new one; our log has it.", TEXT),
    "Server-Timing": ("Where the time went, in milliseconds: database, cache, rendering, all.", TEXT),
    "X-Cache": ("Whether the answer came from the cache.", {"enum": ["hit", "miss", "stale", "bypass"]}),
    "Link": ("The next and the previous page (`rel=next`, `rel=prev`).", TEXT),
    "ETag": (
        "As `If-None-Match`: 304 while nothing has changed. As `If-Match`: writes only upon it.",
        TEXT,
    ),
    "Cache-Control": ("Who may keep the answer, and for how long.", TEXT),
    "Location": ("The address of the new row.", {"type": "string", "format": "uri"}),
    "X-Changes-Cursor": ("The newest cursor of the change feed, also by HEAD.", TEXT),
    "Idempotency-Replayed": ("The answer of an earlier request with this key; nothing was done.", {"const": "true"}),
    "WWW-Authenticate": ("`Token`", TEXT),
    "RateLimit-Limit": ("Requests that the token or the address may make in a window.", {"type": "integer"}),
    "RateLimit-Remaining": ("How many of them are left.", {"type": "integer"}),
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


# Where DRF's sentence says less than there is to say.
MEANINGS = {
    "malformed_json": "The body is no JSON, or holds a number or a character that can't be kept.",
}


# -- codes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Code:
    """A code of a problem document, its status, and when it is answered."""

    status: int
    name: str
    meaning: str


def find_subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for below in kind.__subclasses__():
        yield below
        yield from find_subclasses(below)


def list_codes() -> list[Code]:
    """Every code once, ours described by the class that came first, DRF's by their sentence."""
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
    """The first paragraph of the class's docstring, or the sentence that DRF answers with."""
    if issubclass(kind, ApiError):
        return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())
    return re.sub(r"[ ]?\"?\{\w+\}\"?", "", str(kind.default_detail))


def write_codes() -> str:
    """A table for the head of the document."""
    rows = [f"| `{code.name}` | {code.status} | {code.meaning.replace('|', '/')} |" for code in list_codes()]
    return "\n".join(["| code | status | when |", "|---|---|---|", *rows])


# -- components -------------------------------------------------------------------------------------------------


def refer_to(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def refer_to_headers(*names: str) -> Schema:
    return {name: refer_to("headers", name) for name in names}


def build_components() -> Schema:
    statuses = sorted({code.status for code in list_codes()})
    return {
        "schemas": deepcopy({"Problem": PROBLEM, "Fault": FAULT}),
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
    """The answer of every operation that may end with `status`."""
    names = ", ".join(f"`{code.name}`" for code in list_codes() if code.status == status)
    names_of_headers = (*EVERYWHERE, *STATUS_HEADERS.get(HTTPStatus(status), ()))
    content = {"schema": refer_to("schemas", "Problem")} | build_examples(f"problem_{status}")
    return {
        "description": f"{HTTPStatus(status).phrase}: {names}",
        "headers": refer_to_headers(*names_of_headers),
        "content": {PROBLEM_TYPE: content},
    }


# -- examples ---------------------------------------------------------------------------------------------------


@cache
def read_examples() -> dict[str, list[dict[str, Any]]]:
    """Real answers by operation and status: `{"products_list_200": [{"name", "request", "body", "answer"}, …], …}`."""
    examples: dict[str, list[dict[str, Any]]] = orjson.loads(EXAMPLES.read_bytes())
    return examples


def build_examples(operation: str, member: str = "answer") -> Schema:
    """`{"examples": {…}}` for a media type, or nothing where no example is stored."""
    stored = [example for example in read_examples().get(operation, []) if example.get(member) is not None]
    named = {f"example_{number}": describe_example(example, member) for number, example in enumerate(stored, start=1)}
    return {"examples": named} if named else {}


def describe_example(example: dict[str, Any], member: str) -> Schema:
    return {"summary": example["name"], "description": f"`{example['request']}`", "value": example[member]}
