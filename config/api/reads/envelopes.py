"""The OpenAPI description of a page: its envelope and its parameters."""

from copy import deepcopy
from typing import Any

from config.api.reads.counting import BOUND, WAYS

type Schema = dict[str, Any]

LINK: Schema = {"type": ["string", "null"], "format": "uri"}

COUNTS: Schema = {
    "count": {"type": ["integer", "null"], "minimum": 0, "description": "The number of rows; see `count_relation`."},
    "count_relation": {
        "oneOf": [{"type": "string", "enum": ["eq", "gte", "approx"]}, {"type": "null"}],
        "description": f"`eq`: exact. `gte`: there are more than {BOUND:,}. `approx`: the database's estimate.",
    },
}
LINKS: Schema = {
    "next": LINK | {"description": "The URL of the next page, with all parameters of this request."},
    "previous": LINK,
    "next_cursor": {
        "type": ["string", "null"],
        "description": "The `cursor` of the next page; null on the last page.",
    },
}


def describe_pages(rows: Schema, max_page_size: int, beside: Schema) -> Schema:
    """The schema of a page of `rows`: an envelope by cursor, or one by page number; both may have `beside`."""
    numbers = {
        "page": {"type": "integer", "minimum": 1},
        "page_size": {"type": "integer", "minimum": 1, "maximum": max_page_size},
        "pages": {"type": ["integer", "null"], "minimum": 1},
    }
    by_cursor = build_envelope("By cursor", {"results": rows} | LINKS, COUNTS | beside)
    by_number = build_envelope("By page number", {"results": rows} | numbers | COUNTS | LINKS, beside)
    return {"oneOf": [by_cursor, by_number]}


def build_envelope(title: str, members: Schema, optional: Schema) -> Schema:
    """An object without other members. If others were allowed, an answer could match both envelopes."""
    return {
        "type": "object",
        "title": title,
        "required": list(members),
        "properties": deepcopy(members | optional),  # drf-spectacular's hooks change the dictionaries
        "additionalProperties": False,
    }


def describe_page_parameters(page_size: int, max_page_size: int) -> dict[str, Schema]:
    depth = f"The page number. `page * page_size` is at most {BOUND:,}; read further pages by `next_cursor`."
    size = {"type": "integer", "minimum": 1, "maximum": max_page_size, "default": page_size}
    empty = {"allowEmptyValue": True}  # HTML forms also send empty fields
    count = f"How to count. The default is `bounded` with `page`, `none` with a cursor. `bounded` stops at {BOUND:,}."
    return {
        "page": {"description": depth, "schema": {"type": "integer", "minimum": 1, "maximum": BOUND}},
        "page_size": {"description": "The number of rows per page.", "schema": size},
        "cursor": {"description": "The `next_cursor` of the previous page.", "schema": {"type": "string"}} | empty,
        "count": {"description": count, "schema": {"type": "string", "enum": list(WAYS)}} | empty,
    }
