"""A serializer in, its JSON schema out, with what drf-spectacular can't know of our serializers."""

from itertools import product
from typing import Any

from rest_framework.serializers import DecimalField, JSONField, ListSerializer, ModelSerializer

from config.api.reads.selections import find_nested
from config.api.schema.kinds import Kind
from config.api.schema.shapes import describe_lengths, describe_nested, holds_objects, write_decimal_pattern
from config.api.writes.bodies import StrictSerializer

# What drf-spectacular writes for members of answers, and we remove: readers don't need it, and limits may differ.
NOT_SHOWN = ("readOnly", "default", "minimum", "maximum")


class Members(Kind):
    """The members of bodies and answers."""

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)
        if direction == "response" and self.shaped is not None and isinstance(serializer, ModelSerializer):
            # `fields` and `omit` may leave out any member.
            schema.pop("required", None)
            for described, name in product(schema["properties"].values(), NOT_SHOWN):
                described.pop(name, None)
        if direction == "request":
            tell_defaults(schema["properties"])
        if isinstance(serializer, StrictSerializer):
            schema["additionalProperties"] = False
        return schema

    def _map_serializer_field(self, field: Any, direction: str, bypass_extensions: bool = False) -> Any:
        schema: Any = super()._map_serializer_field(field, direction, bypass_extensions)
        if isinstance(field, DecimalField) and isinstance(schema, dict) and "pattern" in schema:
            schema["pattern"] = write_decimal_pattern(field, direction)
            # With `format: decimal` some generators make a binary fraction of it.
            schema.pop("format", None)
        if isinstance(schema, dict) and schema.get("type") in ("integer", ["integer", "null"]):
            schema.setdefault("format", "int64")
        if isinstance(field, ListSerializer) and direction == "request":
            schema |= describe_lengths(field)
        if isinstance(field, JSONField) and holds_objects(field):
            return {"type": "object", "additionalProperties": {}}
        if direction == "response" and self.shaped is not None and find_nested(field) is not None:
            return describe_nested(field, schema)
        return schema

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        super()._insert_field_validators(field, schema)
        if "\\w" in schema.get("pattern", ""):
            # \w means all alphabets in Python, but only A to Z in JSON Schema (ECMAScript).
            del schema["pattern"]
            schema["description"] = "Letters and digits of any alphabet, `-` and `_`."


def tell_defaults(members: dict[str, Any]) -> None:
    """Put the defaults of a body into words: with the keyword `default`, openapi-typescript demands the member."""
    for described in members.values():
        default = described.pop("default", None)
        if default not in (None, "", {}, []):
            words = f"Default: `{str(default).lower() if isinstance(default, bool) else default}`."
            described["description"] = f"{described.get('description', '')} {words}".strip()
