"""System checks of views and serializers: they report mistakes at the start, not at the first request."""

from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import FieldError
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.serializers import ListSerializer

from config.api.access.scopes import Scope
from config.api.reads.columns import NotCompilable, find_kind
from config.api.reads.dialects import DIALECTS
from config.api.reads.orderings import Keyset, NotByColumns, order_totally, read_terms
from config.api.reads.pagination import ListPagination
from config.api.reads.projection import compile_projection
from config.api.reads.resources import RESOURCES, Resource
from config.api.reads.selections import (
    ReadSerializer,
    Selection,
    build_selection,
    find_fields,
    find_model,
    find_nested,
    find_slug_field,
    list_expandable,
)
from config.api.reads.stored_pieces import list_stored
from config.api.reads.stored_triggers import find_form
from config.api.viewsets import ShapedViewSet

REMEDY = (
    "Read it from a column, give it a database_expression, or let DRF's serializers serve the view: compiled = False."
)


@register(Tags.urls)
def check_projections(**kwargs: Any) -> list[CheckMessage]:
    """An error for each serializer field that can't be compiled to SQL."""
    # Loading the routes imports all views.
    _ = get_resolver().url_patterns
    reasons = {
        reason
        for view in list_views(ShapedViewSet)
        if hasattr(view, "read_serializer")
        for reason in find_reasons(view.read_serializer, view.compiled)
    }
    reasons |= {reason for resource in RESOURCES.values() for reason in find_unexportable(resource)}
    return [Error(f"{reason}.", hint=REMEDY, id="tenfold.E006") for reason in sorted(reasons)]


def list_views(view: type[ShapedViewSet]) -> Iterator[type[ShapedViewSet]]:
    for below in view.__subclasses__():
        yield below
        yield from list_views(below)


def find_reasons(serializer: ReadSerializer, compiled: bool = True) -> Iterator[str]:
    """Why `serializer` can't serve a view: without `expand`, with each single value of it, and with all values."""
    for name in getattr(serializer.Meta, "shown", ()):
        if find_nested(find_fields(serializer).get(name)) is None:
            yield f"{serializer.__name__}.Meta.shown: {name} is not a nested serializer"
            return
    expandable = list_expandable(serializer)
    for expand in {frozenset[str](), *(frozenset({path}) for path in expandable), frozenset(expandable)}:
        selection = build_selection(serializer, expand, detail=True)
        yield from find_uncompilable(serializer, selection) if compiled else find_slugless(serializer, selection)


def find_uncompilable(serializer: ReadSerializer, selection: Selection) -> Iterator[str]:
    for vendor in DIALECTS:
        try:
            compile_projection(serializer, selection, vendor)
        except NotCompilable as reason:
            yield str(reason)


def find_slugless(serializer: ReadSerializer, selection: Selection) -> Iterator[str]:
    """Nested rows that have no slug, which stands for them without `expand`."""
    for name in selection.names:
        field, below = find_fields(serializer)[name], selection.find(name)
        if (nested := find_nested(field)) is None:
            continue
        if below is not None:
            yield from find_slugless(nested, below)
        elif not hasattr(nested.Meta.model, slug := find_slug_field(field)):
            remedy = f"name another in {nested.__name__}.Meta.slug_field"
            yield f"{serializer.__name__}.{name}: {nested.Meta.model.__name__} has no {slug}; {remedy}"


def find_unexportable(resource: Resource) -> Iterator[str]:
    """Why a resource can't be exported: all its shapes must compile, and its chunks need an integer key."""
    for shape in filter(None, (resource.shape, resource.public_shape, resource.flat_shape)):
        yield from find_reasons(shape)
    key = find_model(resource.shape)._meta.pk
    if find_kind(key) != "number":
        yield f"{resource.shape.__name__}: {key} is not a number, and exports need a numeric key"


@register(Tags.urls)
def check_stored(**kwargs: Any) -> list[CheckMessage]:
    """An error for each serializer whose rows can't be stored."""
    hint = "See config/api/reads/stored_pieces.py for what `stored` and `stored_lists` in Meta mean."
    return [Error(f"{reason}.", hint=hint, id="tenfold.E008") for reason in sorted(set(find_unstorable()))]


def find_unstorable() -> Iterator[str]:
    stored = list_stored()
    for serializer in stored:
        model, members = find_model(serializer), find_fields(serializer)
        if len([other for other in stored if find_model(other)._meta.db_table == model._meta.db_table]) > 1:
            yield f"{serializer.__name__}.Meta.stored: another serializer stores rows of {model.__name__}, too"
        for name in getattr(serializer.Meta, "stored_lists", ()):
            if not isinstance(members.get(name), ListSerializer):
                yield f"{serializer.__name__}.Meta.stored_lists: {name} is not a nested list"
                return
        try:
            find_form(serializer)
        except NotCompilable as reason:
            yield f"{serializer.__name__}.Meta.stored: {reason}"


# -- orders ------------------------------------------------------------------------------------------------------


@register(Tags.urls)
def check_orders(**kwargs: Any) -> list[CheckMessage]:
    """An error for each view with cursors whose order has no cursors."""
    found = {reason for view in list_paged() for reason in find_unordered(view)}
    hint = "Order it by columns that are never null, all in one direction, or use PageNumberPagination."
    return [Error(f"{reason}.", hint=hint, id="tenfold.E007") for reason in sorted(found)]


def list_paged() -> Iterator[Any]:
    """All views with our pagination classes."""
    for pattern in walk_patterns(get_resolver()):
        view: Any = getattr(pattern.callback, "cls", None)
        kind = getattr(view, "pagination_class", None)
        if isinstance(kind, type) and issubclass(kind, ListPagination) and getattr(view, "queryset", None) is not None:
            yield view


def walk_patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from walk_patterns(pattern)
        else:
            yield pattern


def find_unordered(view: Any) -> Iterator[str]:
    """Each order of `view` that has no cursors: of its allow-list, its default, or else its queryset's."""
    rows, orderings = view.queryset, [*getattr(view, "orderings", ())]
    if default := getattr(view, "default_ordering", None):
        orderings.append(default)
    elif view.pagination_class.is_numbered:
        return
    columns = getattr(view, "order_columns", {})
    shown = [f"-{columns.get(name[1:], name[1:])}" if name[0] == "-" else columns.get(name, name) for name in orderings]
    for terms in [[name] for name in shown] or [list(read_terms(rows))]:
        try:
            Keyset.of(order_totally(rows.order_by(*terms)))
        except (NotByColumns, FieldError) as order:
            yield f"{view.__name__} has cursors, but its rows are ordered by {order}"


# -- scopes ------------------------------------------------------------------------------------------------------


@register(Tags.urls)
def check_scopes(**kwargs: Any) -> list[CheckMessage]:
    """A warning for each view that accepts tokens but has no scope."""
    hint = "Set scope = CATALOGUE, or another one of config/api/access/scopes.py."
    return [
        checks.Warning(f"{view} has no scope, so it accepts only tokens without scopes.", hint=hint, id="tenfold.W004")
        for view in sorted(set(list_unscoped()))
    ]


def list_unscoped() -> Iterator[str]:
    for pattern in walk_patterns(get_resolver()):
        view: Any = getattr(pattern.callback, "cls", None)
        if getattr(view, "authentication_classes", ()) and not isinstance(getattr(view, "scope", None), Scope):
            yield view.__name__
