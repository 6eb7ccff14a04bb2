"""Checks that the value of each declared attribute has its declared type.

No filter would find a value of another type. Values that were stored before the declaration stay as they are:
`find_mistyped` lists them, and a write that repeats such a value succeeds.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db import connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from catalog.models import Attribute, Product
from catalog.writes.among import is_among
from catalog.writes.batches import is_same
from catalog.writes.values import show_value

# For error texts: what a value of each type is in JSON, and how to write it.
WANTED = {
    Attribute.Type.TEXT: ("a text", "put it in quotes"),
    Attribute.Type.NUMBER: ("a number", "give it without quotes, as in 450"),
    Attribute.Type.BOOLEAN: ("true or false", "give true or false without quotes"),
}


def read_types(names: Iterable[str]) -> dict[str, str]:
    """`{name: type}` of those attributes in `names` that are declared."""
    return dict(Attribute.objects.filter(is_among("name", set(names))).values_list("name", "type"))


def find_type_faults(
    values: Mapping[str, Any], stored: Mapping[str, Any], types: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """`(name, error text)` for each new value that doesn't have its declared type. None means no value."""
    for name, value in values.items():
        kind = types.get(name)
        is_stored = name in stored and is_same({name: value}, {name: stored[name]})
        if kind and value is not None and find_type(value) != kind and not is_stored:
            wanted, remedy = WANTED[Attribute.Type(kind)]
            yield name, f"{show_value(value)} isn't {wanted}, as the attribute {name!r} is declared; {remedy}."


def find_type(value: Any) -> str:
    """The Attribute.Type of a JSON value; "" for a list or an object."""
    if isinstance(value, bool):
        return Attribute.Type.BOOLEAN
    if isinstance(value, int | float):
        return Attribute.Type.NUMBER
    return Attribute.Type.TEXT if isinstance(value, str) else ""


# -- what is stored ------------------------------------------------------------------------------------------------

# At most this many products are named for each attribute, so that the scan ends early if many are wrong.
NAMED_PRODUCTS = 5
# The names that each database has for the types of JSON values.
JSON_TYPES: dict[str, dict[str, tuple[str, ...]]] = {
    "postgresql": {"text": ("string",), "number": ("number",), "boolean": ("boolean",)},
    "sqlite": {"text": ("text",), "number": ("integer", "real"), "boolean": ("true", "false")},
}
# The condition for a wrong type. A JSON null has no type and is never wrong.
MISTYPED = {
    "postgresql": "jsonb_typeof(attributes -> %s) <> ALL(ARRAY['null', {types}])",
    "sqlite": """coalesce(json_type(attributes, '$."' || %s || '"'), 'null') NOT IN ('null', {types})""",
}


def find_mistyped() -> Iterator[tuple[str, str]]:
    """`(sentence, remedy)` for each declared attribute that has a value of another type in some products."""
    vendor = connection.vendor
    for name, kind in Attribute.objects.order_by("name").values_list("name", "type"):
        types = ", ".join(f"'{word}'" for word in JSON_TYPES[vendor][kind])
        wrong = RawSQL(MISTYPED[vendor].format(types=types), [name], BooleanField())  # noqa: S611 (our own words)
        rows = Product.objects.filter(wrong)
        if skus := list(rows.order_by("pk").values_list("sku", flat=True)[: NAMED_PRODUCTS + 1]):
            named = ", ".join(skus[:NAMED_PRODUCTS]) + (" and others" if len(skus) > NAMED_PRODUCTS else "")
            wanted = WANTED[Attribute.Type(kind)][0]
            detail = f"The attribute {name!r} is declared as {kind}, but its value isn't {wanted} in {named}."
            yield detail, "No filter finds these values: write them again, or declare another type."
