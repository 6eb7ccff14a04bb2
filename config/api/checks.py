"""A system check: every read serializer that a view serves can be compiled, for both databases."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import FieldError
from django.urls import URLPattern, URLResolver, get_resolver

from config.api.dialects import DIALECTS
from config.api.pagination import Pages
from config.api.projection import NotCompilable, compile_projection
from config.api.reads.orderings import Keyset, NotByColumns, order_totally, read_terms
from config.api.selections import ReadSerializer, build_selection, list_expandable
from config.api.viewsets import ShapedViewSet


@register(Tags.urls)
def check_projections(**kwargs: Any) -> list[CheckMessage]:
    """An error that names serializer and field, where otherwise the first request would fail."""
    # Views are known once the addresses are loaded.
    _ = get_resolver().url_patterns
    return [
        Error(f"{reason}.", hint="Read it from a column, or give it a database_expression.", id="tenfold.E006")
        for reason in sorted({reason for serializer in list_serializers() for reason in find_reasons(serializer)})
    ]


def list_serializers() -> set[ReadSerializer]:
    return {view.read_serializer for view in list_views(ShapedViewSet) if hasattr(view, "read_serializer")}


def list_views(view: type[ShapedViewSet]) -> Iterator[type[ShapedViewSet]]:
    for below in view.__subclasses__():
        yield below
        yield from list_views(below)


def find_reasons(serializer: ReadSerializer) -> Iterator[str]:
    """Why `serializer`, with everything in it expanded, can't be compiled."""
    selection = build_selection(serializer, frozenset(list_expandable(serializer)), detail=True)
    for vendor in DIALECTS:
        try:
            compile_projection(serializer, selection, vendor)
        except NotCompilable as reason:
            yield str(reason)


# -- orders ------------------------------------------------------------------------------------------------------


@register(Tags.urls)
def check_orders(**kwargs: Any) -> list[CheckMessage]:
    """An error for each view that pages by cursor in an order in which none can stand."""
    found = {reason for view in list_paged() for reason in find_unordered(view)}
    hint = "Order it by columns that are never null, all in one direction, or take PageNumberPagination."
    return [Error(f"{reason}.", hint=hint, id="tenfold.E007") for reason in sorted(found)]


def list_paged() -> Iterator[Any]:
    """The views of all addresses that page by cursor, ours or not."""
    for pattern in walk_patterns(get_resolver()):
        view: Any = getattr(pattern.callback, "cls", None)
        kind = getattr(view, "pagination_class", None)
        if isinstance(kind, type) and issubclass(kind, Pages) and getattr(view, "queryset", None) is not None:
            yield view


def walk_patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from walk_patterns(pattern)
        else:
            yield pattern


def find_unordered(view: Any) -> Iterator[str]:
    """Each order of `view` that has no cursors: its allow-list's, its default, or else its queryset's own."""
    rows, orderings = view.queryset, [*getattr(view, "orderings", ())]
    if default := getattr(view, "default_ordering", None):
        orderings.append(default)
    elif view.pagination_class.is_numbered:
        return
    for terms in [[name] for name in orderings] or [list(read_terms(rows))]:
        try:
            Keyset.of(order_totally(rows.order_by(*terms)))
        except (NotByColumns, FieldError) as order:
            yield f"{view.__name__} pages by cursor, and its rows are ordered by {order}"
