"""A system check: every read serializer that a view serves can be compiled, for both databases."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.urls import get_resolver

from config.api.dialects import DIALECTS
from config.api.projection import NotCompilable, compile_projection
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
