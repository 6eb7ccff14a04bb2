"""Filters and orderings, each from an allow-list; a bad value is a 400, where the packages would pass it by."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django_filters import FilterSet, TypedChoiceFilter
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from config.api.errors import ApiError, Fault
from config.api.parameters import read_choice


class InvalidFilters(ApiError):
    """Values that their filters don't take, each named."""

    default_code = "invalid_parameter"

    def __init__(self, errors: dict[str, Sequence[str]]) -> None:
        faults = [Fault(f"?{name}", "invalid_parameter", text) for name, texts in errors.items() for text in texts]
        super().__init__(f"{faults[0].pointer[1:]}: {faults[0].detail}", faults=faults)


class FlagFilter(TypedChoiceFilter):
    """`true` or `false`; the package's own takes any other word for "not given"."""

    def __init__(self, **options: Any) -> None:
        # The first stands for "not given": a form without it would begin with true, and send it.
        choices = (("", "either"), ("true", "true"), ("false", "false"))
        super().__init__(choices=choices, coerce=lambda text: text == "true", **options)


class FilterBackend(DjangoFilterBackend):
    """django-filter's, with our problem documents."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        filters: FilterSet | None = self.get_filterset(request, queryset, view)
        if filters is None:
            return queryset
        if not filters.is_valid():
            raise InvalidFilters({name: [str(text) for text in texts] for name, texts in filters.errors.items()})
        rows: QuerySet[Any] = filters.qs
        return rows


class OrderingBackend(BaseFilterBackend):
    """`ordering=` from the view's allow-list, the primary key appended, so that the order is total.

    Every column of an allow-list is NOT NULL: a cursor can't stand beside a NULL.
    """

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        allowed = tuple(getattr(view, "orderings", ()))
        asked = read_choice(request.query_params, "ordering", allowed) if allowed else None
        if asked is None and queryset.query.order_by:
            return queryset  # a search's rank
        name = asked or view.default_ordering
        return queryset.order_by(name, "-pk" if name.startswith("-") else "pk")
