"""The OpenAPI description of a page: its envelope and its parameters."""

from copy import deepcopy
from typing import Any

from config.api.reads.counting import BOUND, WAYS

type Schema = dict[str, Any]

LINK: Schema = {"type": ["string", "null"], "format": "uri"}

COUNTS: Schema = {
    "count": {"type": ["integer", "null"], "format": "int64", "minimum": 0, "description": "The number of rows."},
    "count_relation": {"oneOf": [{"$ref": "#/components/schemas/CountRelation"}, {"type": "null"}]},
}
COUNT_RELATION: Schema = {
    "type": "string",
    "enum": ["eq", "gte", "approx"],
    "description": f"`eq`: exact. `gte`: at least so many (counts stop at {BOUND:,}). `approx`: an estimate.",
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
    """The schema of a page of `rows`.

    One object for pages by cursor and by number: generators drop an object of two kinds, or take one for the other.
    What only a numbered page has, and `beside`, is optional.
    """
    numbers = {
        "page": {"type": "integer", "minimum": 1},
        "page_size": {"type": "integer", "minimum": 1, "maximum": max_page_size},
        "pages": {"type": ["integer", "null"], "minimum": 1},
    }
    always = {"results": rows} | LINKS
    return {
        "type": "object",
        "required": list(always),
        "properties": deepcopy(always | numbers | COUNTS | beside),  # drf-spectacular's hooks change the dictionaries
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
        "count": {"description": count, "schema": {"type": "string", "enum": list(WAYS), "title": "CountWay"}} | empty,
    }
