"""`fields`, `omit` and `expand` in; the columns that are read and the JSON that is written out.

The grammar, on products:

    fields=id,title             nothing but these (and what `expand` names)
    omit=attributes             all but these
    expand=brand,images         objects for slugs, lists beside their URLs; `variants.stock` is the greatest depth

A read serializer is an ordinary one, written out in full: every nested serializer in it may be expanded. Without
`expand` a nested object is its slug and a nested list is left out. `Meta.detail_only` names what lists leave out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db.models import FETCH_RAISE, Model, Prefetch, QuerySet
from django.http import QueryDict
from rest_framework.relations import HyperlinkedIdentityField, SlugRelatedField
from rest_framework.serializers import Field, ListSerializer, ModelSerializer

from config.api.errors import InvalidParameter, suggest
from config.api.parameters import read_names

PARAMETERS = ("fields", "omit", "expand")

# A nested list shows its first rows; its URL, which stands beside it, has them all.
NESTED_ROWS = 20
GREATEST_DEPTH = 2
# Django gives a sliced prefetch to a list of its own only, not to the relation's manager.
SHOWN = "shown_"

type ReadSerializer = type[ModelSerializer[Any]]


@dataclass(frozen=True)
class Selection:
    """What an answer holds: names of fields, and for each expanded one what that holds. Hashable: a cache's key."""

    names: tuple[str, ...]
    expanded: tuple[tuple[str, Selection], ...] = ()

    def find(self, name: str) -> Selection | None:
        return dict(self.expanded).get(name)


@cache
def find_fields(serializer: ReadSerializer) -> Mapping[str, Field[Any, Any, Any, Any]]:
    """The fields as the class declares them, built once."""
    return serializer().fields


def find_nested(field: Any) -> ReadSerializer | None:
    """The class of a nested serializer, be it for one object or for many."""
    inner = field.child if isinstance(field, ListSerializer) else field
    return type(inner) if isinstance(inner, ModelSerializer) else None


def find_model(serializer: Any) -> type[Model]:
    model: type[Model] = serializer.Meta.model
    return model


@cache
def list_expandable(serializer: ReadSerializer, depth: int = GREATEST_DEPTH) -> tuple[str, ...]:
    """Every value that `expand` takes: `brand`, `variants`, `variants.stock`."""
    paths = []
    for name, field in find_fields(serializer).items():
        if nested := find_nested(field):
            below = list_expandable(nested, depth - 1) if depth > 1 else ()
            paths += [name, *(f"{name}.{path}" for path in below)]
    return tuple(paths)


def read_selection(query: QueryDict, serializer: ReadSerializer, detail: bool) -> Selection:
    """What the query string asks of `serializer`; InvalidParameter names the word that it doesn't know."""
    fields, omit, expand = (read_names(query, name) for name in PARAMETERS)
    _check_words("expand", expand, list_expandable(serializer))
    for name, words in (("fields", fields), ("omit", omit)):
        _check_words(name, words, tuple(find_fields(serializer)))
    selection = build_selection(serializer, frozenset(expand), detail, frozenset(fields), frozenset(omit))
    if hidden := [name for name in fields if name not in selection.names and name not in omit]:
        raise InvalidParameter("fields", f"{hidden[0]} is a list that isn't expanded.", f"Add expand={hidden[0]}.")
    return selection


def _check_words(parameter: str, words: list[str], known: tuple[str, ...]) -> None:
    for word in words:
        if word not in known:
            raise InvalidParameter(parameter, f"{word!r} is not known here.", suggest(word, known))


@cache
def build_selection(
    serializer: ReadSerializer,
    expand: frozenset[str] = frozenset(),
    detail: bool = False,
    fields: frozenset[str] = frozenset(),
    omit: frozenset[str] = frozenset(),
) -> Selection:
    """Names in the serializer's own order, whatever the order in which they were asked for."""
    roots = {path.partition(".")[0] for path in expand}
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
            expanded.append((name, build_selection(nested, below)))
        elif isinstance(field, ListSerializer):
            continue
        names.append(name)
    return Selection(tuple(names), tuple(expanded))


# -- the columns ------------------------------------------------------------------------------------------------


def select_rows[M: Model](rows: QuerySet[M], serializer: ReadSerializer, selection: Selection) -> QuerySet[M]:
    """`rows` with just the columns and relations that the selection shows; whatever else is touched raises.

    One statement for the rows and what is 1:1, one for each nested list.
    """
    columns = set(find_columns(serializer, selection)) | find_order_columns(rows)
    joins = {path.rpartition("__")[0] for path in columns if "__" in path}
    rows = rows.only("pk", *columns).prefetch_related(*find_prefetches(serializer, selection))
    return (rows.select_related(*joins) if joins else rows).fetch_mode(FETCH_RAISE)


def find_order_columns(rows: QuerySet[Any]) -> set[str]:
    """The cursor holds the row's sort values, so they're read even where nobody sees them."""
    names = {str(name).lstrip("-") for name in rows.query.order_by if isinstance(name, str)}
    return {name for name in names if name not in rows.query.annotations}


def find_columns(serializer: ReadSerializer, selection: Selection, prefix: str = "") -> Iterator[str]:
    """Paths for `only()`: `title`, `brand__slug`, `text__description`."""
    for name in selection.names:
        field = find_fields(serializer)[name]
        if isinstance(field, ListSerializer):
            continue
        path = prefix + "__".join(_find_source(name, field))
        nested, below = find_nested(field), selection.find(name)
        if isinstance(field, SlugRelatedField):
            yield f"{path}__{field.slug_field}"
        elif nested is None:
            yield path
        elif below is None:
            yield f"{path}__slug"
        else:
            yield f"{path}__{find_model(nested)._meta.pk.name}"
            yield from find_columns(nested, below, f"{path}__")


def _find_source(name: str, field: Any) -> list[str]:
    if isinstance(field, HyperlinkedIdentityField):
        return [field.lookup_field]
    return (field.source or name).split(".")


def find_prefetches(serializer: ReadSerializer, selection: Selection, prefix: str = "") -> Iterator[Prefetch[Any]]:
    """A Prefetch for each expanded list: its first rows, in its model's own order."""
    for name, below in selection.expanded:
        field = find_fields(serializer)[name]
        nested = find_nested(field)
        assert nested is not None  # only nested serializers are expandable
        if not isinstance(field, ListSerializer):
            yield from find_prefetches(nested, below, f"{prefix}{field.source}__")
            continue
        relation: Any = find_model(serializer)._meta.get_field(field.source or name)
        model = find_model(nested)
        rows = model._default_manager.order_by(*(model._meta.ordering or ()))
        # Without its foreign key a row couldn't be given to its parent.
        selected = select_rows(rows, nested, below)
        selected.query.add_immediate_loading([*selected.query.deferred_loading[0], relation.field.name])
        accessor = relation.get_accessor_name()
        yield Prefetch(f"{prefix}{accessor}", selected[:NESTED_ROWS], to_attr=f"{SHOWN}{accessor}")


# -- the JSON ---------------------------------------------------------------------------------------------------


def build_serializer(serializer: ReadSerializer, selection: Selection, instance: Any, **options: Any) -> Any:
    """The serializer over `instance`, trimmed to the selection."""
    built = serializer(instance, **options)
    _trim_fields(built.child if isinstance(built, ListSerializer) else built, selection)
    return built


def _trim_fields(built: Any, selection: Selection) -> None:
    for name, field in list(built.fields.items()):
        if name not in selection.names:
            del built.fields[name]
        elif (below := selection.find(name)) is not None:
            if isinstance(field, ListSerializer):
                field.source_attrs = [f"{SHOWN}{field.source}"]
            _trim_fields(field.child if isinstance(field, ListSerializer) else field, below)
        elif find_nested(field) is not None:
            # Assigned under its own name, it keeps its place among the keys.
            source = None if field.source == name else field.source
            built.fields[name] = SlugRelatedField(slug_field="slug", read_only=True, source=source)
