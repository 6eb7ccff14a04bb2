"""Attributes of products in, what is wrong with them out: the value of a declared attribute has its declared type.

A value of another type would be stored and found by no filter. Values that are stored already stay as they are:
`find_mistyped` lists them, and a write that repeats one isn't refused.
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

# What a value of each type is in JSON, and how to write one.
WANTED = {
    Attribute.Type.TEXT: ("a text", "put it in quotes"),
    Attribute.Type.NUMBER: ("a number", "give it without quotes, as in 450"),
    Attribute.Type.BOOLEAN: ("true or false", "give true or false without quotes"),
}


def read_types(names: Iterable[str]) -> dict[str, str]:
    """The declared types of those attributes that are declared."""
    return dict(Attribute.objects.filter(is_among("name", set(names))).values_list("name", "type"))


def find_type_faults(
    values: Mapping[str, Any], stored: Mapping[str, Any], types: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """The name and a sentence for each new value of another type than is declared; None stands for no value."""
    for name, value in values.items():
        kind = types.get(name)
        is_stored = name in stored and is_same({name: value}, {name: stored[name]})
        if kind and value is not None and find_type(value) != kind and not is_stored:
            wanted, remedy = WANTED[Attribute.Type(kind)]
            yield name, f"{show_value(value)} isn't {wanted}, as the attribute {name!r} is declared; {remedy}."


def find_type(value: Any) -> str:
    """The declared type that a JSON value is of; "" for a list or an object."""
    if isinstance(value, bool):
        return Attribute.Type.BOOLEAN
    if isinstance(value, int | float):
        return Attribute.Type.NUMBER
    return Attribute.Type.TEXT if isinstance(value, str) else ""


# -- what is stored ------------------------------------------------------------------------------------------------

# Of each attribute, so that one scan ends early where many are wrong.
NAMED_PRODUCTS = 5
# JSON's own names of the types, by database.
JSON_TYPES: dict[str, dict[str, tuple[str, ...]]] = {
    "postgresql": {"text": ("string",), "number": ("number",), "boolean": ("boolean",)},
    "sqlite": {"text": ("text",), "number": ("integer", "real"), "boolean": ("true", "false")},
}
# A JSON null is no value.
MISTYPED = {
    "postgresql": "jsonb_typeof(attributes -> %s) <> ALL(ARRAY['null', {types}])",
    "sqlite": """coalesce(json_type(attributes, '$."' || %s || '"'), 'null') NOT IN ('null', {types})""",
}


def find_mistyped() -> Iterator[tuple[str, str]]:
    """A sentence for each declared attribute that some products have as another type, and the remedy."""
    vendor = connection.vendor
    for name, kind in Attribute.objects.order_by("name").values_list("name", "type"):
        types = ", ".join(f"'{word}'" for word in JSON_TYPES[vendor][kind])
        wrong = RawSQL(MISTYPED[vendor].format(types=types), [name], BooleanField())  # noqa: S611 (our own words)
        rows = Product.objects.filter(wrong)
        if skus := list(rows.order_by("pk").values_list("sku", flat=True)[: NAMED_PRODUCTS + 1]):
            named = ", ".join(skus[:NAMED_PRODUCTS]) + (" and others" if len(skus) > NAMED_PRODUCTS else "")
            wanted = WANTED[Attribute.Type(kind)][0]
            detail = f"The attribute {name!r} is declared as {kind}, and isn't {wanted} in {named}."
            yield detail, "No filter finds these values: write them anew, or declare another type."
