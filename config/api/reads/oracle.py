"""Reads a selection by DRF's own means: model instances and serializers. projection.py compiles the same to SQL.

Viewsets that aren't `compiled` use it. Tests use it as the oracle for the compiled SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import FETCH_PEERS, FETCH_RAISE, Model, Prefetch, QuerySet
from rest_framework import serializers as drf
from rest_framework.relations import HyperlinkedIdentityField, PrimaryKeyRelatedField, RelatedField, SlugRelatedField
from rest_framework.serializers import ListSerializer

from config.api.reads.columns import NotCompilable, find_column, find_limit, find_reverse, is_overridden
from config.api.reads.orderings import find_keyset, order_nested, order_totally
from config.api.reads.selections import ReadSerializer, Selection, find_fields, find_model, find_nested, find_slug_field
from config.api.rendering.renderers import write_json

# The prefix of attributes (`to_attr`) for sliced prefetches. Django can't put these into the relation's manager.
SHOWN = "shown_"

# -- the rows ----------------------------------------------------------------------------------------------------


def select_rows[M: Model](
    rows: QuerySet[M], serializer: ReadSerializer, selection: Selection, beside: Sequence[str] = ()
) -> QuerySet[M]:
    """`rows` with all that the selection shows, and the columns named in `beside`.

    One statement reads the rows and their 1:1 relations, and one more reads each nested list. If all fields show
    columns, only these columns are read, and access to another column raises an error. A field that computes in Python
    may need any column. Then the rows are read whole, with what `rows` select and prefetch, and each other relation
    costs one statement per page.
    """
    lists = tuple(find_prefetches(serializer, selection))
    try:
        columns = set(find_columns(serializer, selection))
    except NotCompilable:
        return rows.prefetch_related(*lists).fetch_mode(FETCH_PEERS)
    columns |= {*beside, *(keyset.names if (keyset := find_keyset(rows)) else ())}
    joins = {path.rpartition("__")[0] for path in columns if "__" in path}
    rows = rows.select_related(None).prefetch_related(None).only("pk", *columns).prefetch_related(*lists)
    return (rows.select_related(*joins) if joins else rows).fetch_mode(FETCH_RAISE)


def find_columns(serializer: ReadSerializer, selection: Selection, prefix: str = "") -> Iterator[str]:
    """Paths for `only()`: `title`, `brand__slug`, `text__description`. NotCompilable if a field shows no column."""
    if is_overridden(serializer, "to_representation", drf.ModelSerializer):
        raise NotCompilable(f"{serializer.__name__}.to_representation() may read any column")
    for name in selection.names:
        field, below = find_fields(serializer)[name], selection.find(name)
        if isinstance(field, ListSerializer):
            find_to_many(find_model(serializer), str(field.source))
            continue
        *links, last = _find_source(field)
        path, model = _follow(links, prefix, find_model(serializer))
        if nested := find_nested(field):
            path, model = _follow([last], path, model)
            yield f"{path}{find_column(model, find_slug_field(field) if below is None else 'pk').name}"
            yield from () if below is None else find_columns(nested, below, path)
        elif isinstance(field, SlugRelatedField):
            path, model = _follow([last], path, model)
            yield f"{path}{find_column(model, field.slug_field).name}"
        else:
            yield f"{path}{find_column(model, last).name}"


# Relation fields whose use of the related row is known.
KNOWN_LINKS = (PrimaryKeyRelatedField, SlugRelatedField)


def _find_source(field: Any) -> list[str]:
    if isinstance(field, HyperlinkedIdentityField):
        return [field.lookup_field]
    is_own = is_overridden(type(field), "get_attribute", drf.Field) and not hasattr(field, "database_default")
    if is_own or (isinstance(field, RelatedField) and not isinstance(field, KNOWN_LINKS)):
        raise NotCompilable(f"{type(field).__name__} may read any column")
    return str(field.source).split(".")


def _follow(links: Sequence[str], path: str, model: type[Model]) -> tuple[str, type[Model]]:
    """Follow foreign keys and 1:1 relations from `model`. Returns the path for a queryset, and the model at its end."""
    for link in links:
        reverse = [each for each in model._meta.related_objects if each.get_accessor_name() == link and each.one_to_one]
        relation: Any = reverse[0] if reverse else find_column(model, link)
        if not relation.is_relation:
            raise NotCompilable(f"{link} is not a relation")
        path, model = f"{path}{relation.name}__", relation.related_model
    return path, model


def find_prefetches(serializer: ReadSerializer, selection: Selection, prefix: str = "") -> Iterator[Prefetch[Any]]:
    """A Prefetch for each expanded list: its first rows, in the order of their model."""
    for name, below in selection.expanded:
        field = find_fields(serializer)[name]
        nested = find_nested(field)
        assert nested is not None  # only nested serializers are expandable
        if not isinstance(field, ListSerializer):
            yield from find_prefetches(nested, below, f"{prefix}{field.source}__")
        elif is_prefetched(find_model(serializer), source := str(field.source)):
            rows = select_list(find_model(serializer), source, nested, below)
            yield Prefetch(f"{prefix}{source}", rows[: find_limit(field)], to_attr=f"{SHOWN}{source}")


def select_list(model: type[Model], source: str, nested: ReadSerializer, below: Selection) -> QuerySet[Any]:
    rows = find_model(nested)._default_manager.all()
    if find_to_many(model, source).many_to_many:
        return select_rows(order_totally(rows), nested, below)
    key = find_reverse(model, source).field
    # Django needs the foreign key to find the parent of each row.
    return select_rows(rows.order_by(*order_nested(rows.model, key)), nested, below, [key.attname])


def find_to_many(model: type[Model], source: str) -> Any:
    """The relation to many rows of the attribute `source`. NotCompilable if it isn't one."""
    for relation in model._meta.related_objects:
        if relation.get_accessor_name() == source and not relation.one_to_one:
            return relation
    for field in model._meta.many_to_many:
        if field.name == source:
            return field
    raise NotCompilable(f"{source} is not a relation to many rows")


def is_prefetched(model: type[Model], source: str) -> bool:
    try:
        return bool(find_to_many(model, source))
    except NotCompilable:
        return False


# -- the JSON ---------------------------------------------------------------------------------------------------


def write_rows(
    rows: Sequence[Any], serializer: ReadSerializer, selection: Selection, context: Mapping[str, Any]
) -> list[bytes]:
    """The JSON of each row, written by the serializer."""
    shaped = build_serializer(serializer, selection, rows, many=True, context=dict(context))
    return [write_json(row) for row in shaped.data]


def build_serializer(serializer: ReadSerializer, selection: Selection, instance: Any, **options: Any) -> Any:
    """The serializer of `instance`, with only the fields of the selection."""
    built = serializer(instance, **options)
    _trim_fields(built.child if isinstance(built, ListSerializer) else built, selection)
    return built


def _trim_fields(built: Any, selection: Selection) -> None:
    for name, field in list(built.fields.items()):
        if name not in selection.names:
            del built.fields[name]
        elif (below := selection.find(name)) is not None:
            if isinstance(field, ListSerializer) and is_prefetched(find_model(built), str(field.source)):
                field.source_attrs = [f"{SHOWN}{field.source}"]
            _trim_fields(field.child if isinstance(field, ListSerializer) else field, below)
        elif find_nested(field) is not None:
            # Assigning to the same name keeps the field's place in the order.
            source = None if field.source == name else field.source
            built.fields[name] = SlugRelatedField(slug_field=find_slug_field(field), read_only=True, source=source)
