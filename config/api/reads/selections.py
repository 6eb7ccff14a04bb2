"""Reads `fields`, `omit` and `expand` as a frozen Selection. A name that the serializer doesn't know is a 400.

For example, on products:

    fields=id,title             only these fields (and those that `expand` names)
    omit=attributes             all fields except these
    expand=brand,images         objects instead of slugs, and nested lists; `variants.stock` is the greatest depth

A read serializer is an ordinary serializer with all its fields. Each nested serializer in it may be expanded. Without
`expand`, a nested object is shown as its slug (or another column, `Meta.slug_field` of its serializer), and a nested
list is left out. `Meta.detail_only` names fields that lists leave out. `Meta.row_only` names fields that a row
has by itself but not within another row. `Meta.shown` names nested lists that are always shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from django.db.models import Model
from django.http import QueryDict
from rest_framework.serializers import Field, ListSerializer, ModelSerializer

from config.api.problems.errors import MOST_NAMED, InvalidParameter
from config.api.problems.near import suggest
from config.api.reads.parameters import WORD_LISTS, read_names

PARAMETERS = WORD_LISTS

GREATEST_DEPTH = 2

type ReadSerializer = type[ModelSerializer[Any]]


@dataclass(frozen=True)
class Selection:
    """The fields of an answer, and the selection of each expanded field. It is hashable, so it can be a cache key."""

    names: tuple[str, ...]
    expanded: tuple[tuple[str, Selection], ...] = ()

    def find(self, name: str) -> Selection | None:
        return dict(self.expanded).get(name)


@cache
def find_fields(serializer: ReadSerializer) -> Mapping[str, Field[Any, Any, Any, Any]]:
    """The serializer's fields by name, built once."""
    return serializer().fields


def find_nested(field: Any) -> ReadSerializer | None:
    """The class of a nested serializer, also of one with many=True; None for other fields."""
    inner = field.child if isinstance(field, ListSerializer) else field
    return type(inner) if isinstance(inner, ModelSerializer) else None


def find_model(serializer: Any) -> type[Model]:
    model: type[Model] = serializer.Meta.model
    return model


def find_slug_field(field: Any) -> str:
    """The column that is shown in place of a related row: `slug`, unless the field or its Meta names another one."""
    nested = find_nested(field)
    return getattr(nested.Meta, "slug_field", "slug") if nested else field.slug_field


@cache
def list_expandable(serializer: ReadSerializer, depth: int = GREATEST_DEPTH) -> tuple[str, ...]:
    """All values that `expand` accepts: `brand`, `variants`, `variants.stock`."""
    paths = []
    for name, field in find_fields(serializer).items():
        if nested := find_nested(field):
            below = list_expandable(nested, depth - 1) if depth > 1 else ()
            paths += [name, *(f"{name}.{path}" for path in below)]
    return tuple(paths)


def read_selection(query: QueryDict, serializer: ReadSerializer, detail: bool) -> Selection:
    """The selection in the query string. InvalidParameter names a word that the serializer doesn't know."""
    fields, omit, expand = (read_names(query, name) for name in PARAMETERS)
    _check_words("expand", expand, list_expandable(serializer))
    for name, words in (("fields", fields), ("omit", omit)):
        _check_words(name, words, tuple(find_fields(serializer)))
    selection = build_selection(serializer, frozenset(expand), detail, frozenset(fields), frozenset(omit))
    if hidden := [name for name in fields if name not in selection.names and name not in omit]:
        raise InvalidParameter("fields", f"{hidden[0]} is a list that isn't expanded.", f"Add expand={hidden[0]}.")
    if not selection.names:
        raise InvalidParameter("omit", "It leaves out all fields.", "Leave out fewer fields.")
    return selection


def _check_words(parameter: str, words: list[str], known: tuple[str, ...]) -> None:
    if unknown := [word for word in words if word not in known]:
        named, verb = ", ".join(map(repr, unknown[:MOST_NAMED])), "are" if len(unknown) > 1 else "is"
        raise InvalidParameter(parameter, f"{named} {verb} not known here.", suggest(unknown[0], known))


# Bounded, since a client may invent millions of selections.
@lru_cache(maxsize=1024)
def build_selection(
    serializer: ReadSerializer,
    expand: frozenset[str] = frozenset(),
    detail: bool = False,
    fields: frozenset[str] = frozenset(),
    omit: frozenset[str] = frozenset(),
) -> Selection:
    """The selection. Its names are in the serializer's order, not in the request's."""
    shown = {name for name in getattr(serializer.Meta, "shown", ()) if name in fields or not fields}
    roots = {path.partition(".")[0] for path in expand} | shown
    left_out = set() if detail else set(getattr(serializer.Meta, "detail_only", ()))
    names, expanded = [], []
    for name, field in find_fields(serializer).items():
        asked = name in fields if fields else name not in left_out
        if (not asked and name not in roots) or name in omit:
            continue
        if name in roots:
            below = frozenset(path.partition(".")[2] for path in expand if path.startswith(f"{name}."))
            nested = find_nested(field)
            assert nested is not None  # only nested serializers are expandable
            row_only = frozenset(getattr(nested.Meta, "row_only", ()))
            expanded.append((name, build_selection(nested, below, omit=row_only)))
        elif isinstance(field, ListSerializer):
            continue
        names.append(name)
    return Selection(tuple(names), tuple(expanded))
