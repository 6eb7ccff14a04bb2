"""A serializer's field in, its JSON Schema out, for what drf-spectacular can't know: lists, nested rows, decimals."""

import re
from typing import Any

from django.db.models import JSONField as JSONColumn
from rest_framework.serializers import DecimalField, JSONField, ListSerializer, ModelSerializer

from config.api.reads.columns import NESTED_ROWS, find_limit
from config.api.reads.selections import find_nested
from config.api.schema.components import TEXT, refer_to
from config.api.writes.bodies import RowList


def describe_lengths(rows: ListSerializer[Any]) -> dict[str, Any]:
    """The minimum and maximum number of rows in a body, if there are any."""
    most = getattr(rows, "max_length", None)
    return ({"minItems": 1} if isinstance(rows, RowList) else {}) | ({"maxItems": most} if most else {})


def describe_nested(field: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """A nested object or list. Without `expand` an object is its slug, and a list is left out.

    `schema` is drf-spectacular's.
    """
    if isinstance(field, ListSerializer):
        text = f"With `expand={field.field_name}`: the first {NESTED_ROWS} rows. The URL next to it has all rows."
        text = "All rows." if getattr(field, "max_length", None) else text
        return {"type": "array", "items": schema["items"], "maxItems": find_limit(field), "description": text}
    model = find_nested(field)
    assert model is not None  # the caller has checked
    forms = [TEXT | {"title": "Slug"}, refer_to("schemas", re.sub(r"Read$", "", model.__name__))]
    forms += [{"type": "null"}] if field.allow_null else []
    return {"oneOf": forms, "description": f"The slug; with `expand={field.field_name}` the object."}


def holds_objects(field: JSONField) -> bool:
    """Whether a JSON field's column has only objects: then its default is `{}`."""
    parent: Any = field.parent
    if not isinstance(parent, ModelSerializer):
        return False
    column: Any = parent.Meta.model._meta.get_field(field.source)  # type: ignore[attr-defined]  # each has a Meta
    return isinstance(column, JSONColumn) and column.default is dict


def write_decimal_pattern(field: DecimalField, direction: str) -> str:
    """The regular expression of a decimal. Answers have all decimal places (`9.50`), requests may have fewer."""
    sign = "" if field.min_value is not None and field.min_value >= 0 else "-?"
    places = field.decimal_places
    decimals = rf"\.[0-9]{{{places}}}" if direction == "response" else rf"(\.[0-9]{{1,{places}}})?"
    return rf"^{sign}[0-9]{{1,{field.max_whole_digits}}}{decimals}$"
