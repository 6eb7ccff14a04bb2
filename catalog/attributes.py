"""The filters `attr.NAME` in, conditions on the column `attributes` out. Only declared attributes filter.

`attr.color=Olive,Black` matches either, `attr.color.not=Olive` the other products. `attr.weight.min` and `.max` are for
declared numbers, both ends included. Names and values may be in composed or decomposed form, as for all keys.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import BooleanField, Case, CharField, ExpressionWrapper, Func, Q, Value, When
from django.db.models.fields.json import KeyTransform
from django.db.models.lookups import Exact, In

from catalog.models import Attribute
from catalog.querysets import ProductQuerySet
from catalog.writes.texts import compose, list_forms
from catalog.writes.values import NUMBER
from config.api.problems.errors import InvalidParameter, UnknownParameter
from config.api.reads.filtering import MOST_VALUES, split_values
from config.api.reads.parameters import EMPTY_VALUE

PREFIX = "attr."
NOT, MIN, MAX = ".not", ".min", ".max"
LOOKUPS = {MIN: "gte", MAX: "lte"}


class Asked(NamedTuple):
    """One parameter: `attr.weight.min=450` is the attribute `weight`, its type, `.min`, and the value 450."""

    name: str
    type: str
    ending: str
    values: list[Any]


def narrow_by_attributes(rows: ProductQuerySet, query: Mapping[str, str]) -> ProductQuerySet:
    """The rows that match all parameters `attr.…`. One query reads the types."""
    asked = {name: texts for name in query if name.startswith(PREFIX) and (texts := list_texts(query, name))}
    if not asked:
        return rows
    types = dict(Attribute.objects.values_list("name", "type"))
    for found in list(read_asked(asked, types)):
        rows = narrow(rows, found)
    return rows


def list_texts(query: Any, name: str) -> list[str]:
    """The values of a parameter that may be repeated; [] for an empty one."""
    given = [text for text in (query.getlist(name) if hasattr(query, "getlist") else [query[name]]) if text]
    texts = [value for text in given for value in split_values(text)]
    if "" in texts:
        raise InvalidParameter(name, EMPTY_VALUE)
    if len(texts) > MOST_VALUES:
        raise InvalidParameter(name, f"It has {len(texts)} values; at most {MOST_VALUES} are allowed.")
    return texts


def read_asked(asked: Mapping[str, list[str]], types: Mapping[str, str]) -> Iterator[Asked]:
    parted = {parameter: part_name(compose(parameter.removeprefix(PREFIX)), types) for parameter in asked}
    if unknown := sorted(parameter for parameter, (name, _) in parted.items() if name not in types):
        raise UnknownParameter(unknown, [f"{PREFIX}{name}" for name in types])
    for parameter, (name, ending) in parted.items():
        if ending in LOOKUPS:
            check_bound(parameter, asked[parameter], types[name])
        values = [read_value(parameter, types[name], text) for text in sorted(list_forms(asked[parameter]))]
        yield Asked(name, types[name], ending, values)


def part_name(name: str, types: Mapping[str, str]) -> tuple[str, str]:
    """`weight.min` → `("weight", ".min")`. A declared attribute whose own name ends so is itself."""
    for ending in (NOT, MIN, MAX):
        if name.endswith(ending) and name not in types:
            return name.removesuffix(ending), ending
    return name, ""


def check_bound(parameter: str, texts: list[str], type_: str) -> None:
    if type_ != Attribute.Type.NUMBER:
        raise InvalidParameter(parameter, f"The attribute is a {type_}; .min and .max are for numbers.")
    if len(texts) > 1:
        raise InvalidParameter(parameter, f"It has {len(texts)} values.", "It takes one value.")


def read_value(parameter: str, type_: str, text: str) -> str | bool | int | float:
    """Converts `text` to a JSON value of the attribute's declared type. Raises InvalidParameter."""
    if type_ == Attribute.Type.TEXT:
        return text
    if type_ == Attribute.Type.BOOLEAN:
        if text not in ("true", "false"):
            raise InvalidParameter(parameter, f"{text[:20]!r} is not true or false.")
        return text == "true"
    if not NUMBER.fullmatch(text):
        raise InvalidParameter(parameter, f"{text[:20]!r} is not a number.")
    number = Decimal(text)
    if len(text) > 40 or abs(number) > 2**63:
        raise InvalidParameter(parameter, f"{text[:20]!r} is not a number of at most 64 bits.")
    return int(number) if number == int(number) else float(number)


def narrow(rows: ProductQuerySet, asked: Asked) -> ProductQuerySet:
    if asked.ending in LOOKUPS:
        return keep_range(rows, asked)
    if not asked.ending and connections[rows.db].vendor == "postgresql":
        # Containment, so that a GIN index serves it.
        return rows.filter(reduce(or_, [Q(attributes__contains={asked.name: value}) for value in asked.values]))
    # Without values no index helps, and of a row each containment would read the whole object.
    rows, name = name_value(rows, asked.name)
    # The type, too: Django reads the text "true" like the value true.
    wanted = Q(is_of_type(rows.db, asked.name, asked.type), **{f"{name}__in": asked.values})
    return rows.filter(~wanted | Q(**{f"{name}__isnull": True})) if asked.ending else rows.filter(wanted)


def name_value(rows: ProductQuerySet, name: str) -> tuple[ProductQuerySet, str]:
    """The rows with an alias of the attribute's value. Django would read `attributes__a__gt` as a lookup."""
    alias = f"attribute_{name}"
    return rows.alias(**{alias: KeyTransform(name, "attributes")}), alias


def keep_range(rows: ProductQuerySet, asked: Asked) -> ProductQuerySet:
    """Only numbers: each database sorts other types of JSON among them.

    PostgreSQL takes a CASE to hold for half of the rows. Of a comparison of types it expects one in 200, and so read
    60,000 rows as if they were one.
    """
    rows, alias = name_value(rows, asked.name)
    [bound] = asked.values
    compared = ExpressionWrapper(Q(**{f"{alias}__{LOOKUPS[asked.ending]}": bound}), BooleanField())
    return rows.filter(Case(When(is_of_type(rows.db, asked.name, asked.type), then=compared), default=False))


# What `json_type` of SQLite and `jsonb_typeof` of PostgreSQL say of values of each declared type.
SQLITE_TYPES = {"text": ["text"], "number": ["integer", "real"], "boolean": ["true", "false"]}
POSTGRESQL_TYPES = {"text": "string", "number": "number", "boolean": "boolean"}


def is_of_type(database: str, name: str, type_: str) -> Exact | In:
    if connections[database].vendor == "postgresql":
        kind = Func(KeyTransform(name, "attributes"), function="jsonb_typeof", output_field=CharField())
        return Exact(kind, POSTGRESQL_TYPES[type_])
    path = Value(connections[database].ops.compile_json_path([name]))
    return In(Func("attributes", path, function="json_type", output_field=CharField()), SQLITE_TYPES[type_])
