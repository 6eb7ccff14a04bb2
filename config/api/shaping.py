"""A selection in, model rows and serializers out: how DRF itself would read and write what projection.py compiles.

It serves what shapes its rows one by one (exports as CSV), and is the oracle that the compiled SQL is held against.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import FETCH_RAISE, Model, Prefetch, QuerySet
from rest_framework.relations import HyperlinkedIdentityField, SlugRelatedField
from rest_framework.serializers import ListSerializer

from config.api.projection import find_limit
from config.api.selections import ReadSerializer, Selection, find_fields, find_model, find_nested

# Django gives a sliced prefetch to a list of its own only, not to the relation's manager.
SHOWN = "shown_"

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
        yield Prefetch(f"{prefix}{accessor}", selected[: find_limit(field)], to_attr=f"{SHOWN}{accessor}")


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
