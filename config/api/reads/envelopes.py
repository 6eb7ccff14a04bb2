"""The OpenAPI description of a page: its envelope and its parameters."""

from copy import deepcopy
from typing import Any

from config.api.reads.counting import BOUND, WAYS

type Schema = dict[str, Any]

LINK: Schema = {"type": ["string", "null"], "format": "uri"}

COUNTS: Schema = {
    "count": {"type": ["integer", "null"], "minimum": 0, "description": "How many rows there are, as far as counted."},
    "count_relation": {
        "oneOf": [{"type": "string", "enum": ["eq", "gte", "approx"]}, {"type": "null"}],
        "description": f"`eq`: exact. `gte`: there are more than {BOUND:,}. `approx`: the planner's guess.",
    },
}
LINKS: Schema = {
    "next": LINK | {"description": "The next page, with all of this request's parameters."},
    "previous": LINK,
    "next_cursor": {
        "type": ["string", "null"],
        "description": "`cursor` of what comes after this page; null at the end.",
    },
}


def describe_pages(rows: Schema, max_page_size: int) -> Schema:
    """The schema of a page of `rows`: an envelope by cursor, or one by page number."""
    numbers = {
        "page": {"type": "integer", "minimum": 1},
        "page_size": {"type": "integer", "minimum": 1, "maximum": max_page_size},
        "pages": {"type": ["integer", "null"], "minimum": 1},
    }
    by_cursor = build_envelope("By cursor", {"results": rows} | LINKS, COUNTS)
    by_number = build_envelope("By page number", {"results": rows} | numbers | COUNTS | LINKS, {})
    return {"oneOf": [by_cursor, by_number]}


def build_envelope(title: str, members: Schema, optional: Schema) -> Schema:
    """An object that allows no other members: else an answer would match both envelopes."""
    return {
        "type": "object",
        "title": title,
        "required": list(members),
        "properties": deepcopy(members | optional),  # drf-spectacular's hooks change what they find
        "additionalProperties": False,
    }


def describe_page_parameters(page_size: int, max_page_size: int) -> dict[str, Schema]:
    depth = f"Page number; `page * page_size` ends at {BOUND:,}, and `next_cursor` goes on from there."
    size = {"type": "integer", "minimum": 1, "maximum": max_page_size, "default": page_size}
    empty = {"allowEmptyValue": True}  # forms send what isn't filled in too
    count = f"How to count: by default `bounded` with `page`, `none` with a cursor. `bounded` is exact up to {BOUND:,}."
    return {
        "page": {"description": depth, "schema": {"type": "integer", "minimum": 1, "maximum": BOUND}},
        "page_size": {"description": "Rows a page.", "schema": size},
        "cursor": {"description": "`next_cursor` of the page before, as it is.", "schema": {"type": "string"}} | empty,
        "count": {"description": count, "schema": {"type": "string", "enum": list(WAYS)}} | empty,
    }
