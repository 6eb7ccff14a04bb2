"""The body of a change in, and the same body without members that can't be written and are as the row has them.

A client that saves a whole record sends back what it has read: `id`, `created_at`, `in_stock` … Nothing would change,
so these members are left out. One with another value stays, and StrictSerializer refuses it: its sender means a change.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from rest_framework.serializers import BaseSerializer, ListSerializer

from config.api.reads.selections import GREATEST_DEPTH, ReadSerializer, find_fields, find_nested

type Body = dict[str, Any]


def has_read_only(body: Any, serializer: BaseSerializer[Any]) -> bool:
    """Whether the body, or an object in one of its lists, has a member that the serializer doesn't write."""
    if type(body) is not dict:
        return False
    fields = find_writable(serializer)
    return any(
        name not in fields
        or any(has_read_only(item, part) for part in find_part(fields[name]) for item in list_of(value))
        for name, value in body.items()
    )


def find_writable(serializer: BaseSerializer[Any]) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(serializer, "fields", {})
    return {name: field for name, field in fields.items() if not field.read_only}


def find_part(field: Any) -> Sequence[Any]:
    """The serializer of a list's objects, alone in a list; an empty list for other fields."""
    return [field.child] if isinstance(field, ListSerializer) else []


def list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def list_expanded(body: Body, shape: ReadSerializer, depth: int = GREATEST_DEPTH) -> frozenset[str]:
    """The values of `expand` with which the row was read, as far as the body shows it."""
    found = set[str]()
    for name, value in body.items():
        nested = find_nested(find_fields(shape).get(name))
        if depth and nested and isinstance(value, dict | list):
            parts = [part for part in ([value] if isinstance(value, dict) else value) if type(part) is dict]
            below = frozenset[str]().union(*(list_expanded(part, nested, depth - 1) for part in parts))
            found |= {name, *(f"{name}.{path}" for path in below)}
    return frozenset(found)


def leave_out_unchanged(body: Body, shown: Body, serializer: BaseSerializer[Any]) -> Body:
    """`shown` is the row's JSON. The objects of a list are known by their ids."""
    fields, kept = find_writable(serializer), {}
    for name, value in body.items():
        if name not in fields:
            if name not in shown or not is_same(value, shown[name]):
                kept[name] = value
        elif (part := find_part(fields[name])) and isinstance(value, list):
            rows = {row["id"]: row for row in list_of(shown.get(name)) if "id" in row}
            kept[name] = [leave_out_of_part(each, rows, part[0]) for each in value]
        # A related row as `expand` shows it, which is written by its slug.
        elif not (isinstance(value, dict) and is_same(value, shown.get(name))):
            kept[name] = value
    return kept


def leave_out_of_part(body: Any, rows: Mapping[int, Body], serializer: BaseSerializer[Any]) -> Any:
    known = type(body) is dict and type(body.get("id")) is int
    return leave_out_unchanged(body, rows.get(body["id"], {}), serializer) if known else body


def is_same(one: Any, other: Any) -> bool:
    """Whether both are the same JSON. Python says that 1 is True."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
