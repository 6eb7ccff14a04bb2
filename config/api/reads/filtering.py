"""Filters and orderings, each from an allow-list. An invalid value is a 400; the packages would ignore it."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone
from django_filters import (
    BaseInFilter,
    CharFilter,
    ChoiceFilter,
    Filter,
    FilterSet,
    IsoDateTimeFilter,
    TypedChoiceFilter,
)
from django_filters.fields import BaseCSVField, IsoDateTimeField
from django_filters.rest_framework import DjangoFilterBackend
from django_filters.widgets import BaseCSVWidget
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from config.api.problems.errors import ApiError, Fault, InvalidParameter
from config.api.reads.parameters import EMPTY_VALUE, read_choice
from config.api.reads.unserved import choose_steps

# A time before now, such as `-7d`.
AGO_PATTERN = "^-([0-9]{1,4})([smhdw])$"
UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


class InvalidFilters(ApiError):
    """400 with an error for each value that its filter doesn't accept."""

    default_code = "invalid_parameter"

    def __init__(self, errors: dict[str, Sequence[str]]) -> None:
        faults = [Fault(f"?{name}", "invalid_parameter", text) for name, texts in errors.items() for text in texts]
        super().__init__(f"{faults[0].pointer[1:]}: {faults[0].detail}", faults=faults)


def name_choices(choices: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """The error message of a choice field. Unlike Django's, it lists the choices."""
    return {"invalid_choice": f"%(value)r is not one of {', '.join(value for value, _ in choices if value)}."}


class FlagFilter(TypedChoiceFilter):
    """`true` or `false`. Another word is an error; the package's own filter would ignore it."""

    def __init__(self, **options: Any) -> None:
        # The first choice means "not given". Without it an HTML form would preselect `true` and send it.
        choices = (("", "either"), ("true", "true"), ("false", "false"))
        options["error_messages"] = name_choices(choices)
        super().__init__(choices=choices, coerce=lambda text: text == "true", **options)


class MomentField(IsoDateTimeField):
    # In a query string, a + that isn't encoded, as in +02:00, means a blank.
    default_error_messages: ClassVar = {
        "invalid": "Write a time as 2026-01-31T12:00:00Z or 2026-01-31T12:00:00%2B02:00 (%2B is a + in an address)."
    }

    def to_python(self, value: Any) -> datetime | None:
        moment: datetime | None = super().to_python(value)
        try:
            return moment and moment.astimezone(UTC)
        except OverflowError as error:
            # For example the last hour of the year 9999 in New York: in UTC it is past the range of all databases.
            raise ValidationError("Enter a time between the years 1 and 9999.") from error


class MomentFilter(IsoDateTimeFilter):
    """A time with its zone (RFC 3339), or a date."""

    field_class = MomentField


def read_moment(query: Mapping[str, str], name: str) -> datetime | None:
    """The time in a parameter, for a view without filters; None if the parameter isn't given.

    `-7d` is seven days ago. A view with cached plans must not use this: its plan would hold the time.
    """
    if ago := re.fullmatch(AGO_PATTERN, query.get(name) or ""):
        return timezone.now() - int(ago[1]) * UNITS[ago[2]]
    try:
        return MomentField(required=False).clean(query.get(name))
    except ValidationError as error:
        raise InvalidParameter(name, " ".join(error.messages)) from error


# Separates two values. A comma behind a backslash belongs to its value.
SEPARATOR = re.compile(r"(?<!\\),")
# The most values of a list, unless its filter names another number.
MOST_VALUES = 50


def split_values(text: str) -> list[str]:
    r"""`a,b\,c` → `["a", "b,c"]`. A value is empty if there is a comma too many: `a,,b` → `["a", "", "b"]`."""
    return [value.strip().replace("\\,", ",") for value in SEPARATOR.split(text)]


def read_list(query: QueryDict, name: str) -> list[str]:
    """All values of a parameter, repeated or comma-separated; [] if it is empty, which is no filter."""
    return [value for text in query.getlist(name) if text for value in split_values(text)]


def join_values(values: Iterable[Any]) -> str:
    """The text that `split_values` reads as these values."""
    return ",".join(str(value).replace(",", "\\,") for value in values)


class ListWidget(BaseCSVWidget):
    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """The values of a repeated name as one list. `data` is a query string, or a mapping with one value per name."""
        if name not in data:
            return None
        texts = data.getlist(name) if hasattr(data, "getlist") else [data[name]]
        return [value for text in texts if text for value in split_values(text)]

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        """A text field if there are several values: a selection shows one."""
        if isinstance(value, list) and len(value) > 1:
            return self.surrogate.render(name, join_values(value), attrs, renderer=renderer)
        return super().render(name, value, attrs, renderer=renderer)


class ListField(BaseCSVField):
    """Raises ValidationError for more than `most` values, and for an empty one."""

    base_widget_class = ListWidget

    def __init__(self, *args: Any, most: int = MOST_VALUES, **options: Any) -> None:
        super().__init__(*args, **options)
        self.most = most

    def clean(self, value: Any) -> Any:
        if value and len(value) > self.most:
            raise ValidationError(f"It has {len(value)} values; at most {self.most} are allowed.")
        if value and "" in value:
            raise ValidationError(EMPTY_VALUE)
        return super().clean(value)


class ListFilter(BaseInFilter):
    """Several values: `a,b`, or the name repeated. A subclass adds the filter of one value.

    `most` is the greatest number of values. Rows match that have one of them.
    """

    base_field_class = ListField

    def __init__(self, *args: Any, most: int = MOST_VALUES, **options: Any) -> None:
        super().__init__(*args, most=most, **options)


class TextsFilter(ListFilter, CharFilter):
    """Several texts."""


class ChoicesFilter(ListFilter, ChoiceFilter):
    """Several of `choices`."""

    def __init__(self, *args: Any, choices: Sequence[tuple[str, Any]], **options: Any) -> None:
        super().__init__(*args, choices=choices, error_messages=name_choices(choices), **options)


class SparseFilterSet(FilterSet):
    """Builds only the filters that a request names. All filters of products take 0.7 ms, as much as the whole rest."""

    # Prefixes of parameters whose names aren't known in advance, such as `attr.`.
    prefixes: tuple[str, ...] = ()

    # The package's metaclass sets this for each class. An instance may have fewer filters.
    base_filters: dict[str, Filter]

    def __init__(self, *args: Any, names: Collection[str] | None = None, **kwargs: Any) -> None:
        if names is not None:
            declared = type(self).base_filters
            # In the order of the class: the last one may use what the others leave.
            self.base_filters = {name: filter_ for name, filter_ in declared.items() if name in names}
        super().__init__(*args, **kwargs)

    @classmethod
    def get_filters(cls) -> dict[str, Filter]:
        """The filters by their parameters: `brand_not` in the class is the parameter `brand.not`."""
        return {re.sub("_not$", ".not", name): filter_ for name, filter_ in super().get_filters().items()}

    @classmethod
    def list_lists(cls) -> list[str]:
        """The parameters that take several values."""
        return [name for name, filter_ in cls.base_filters.items() if isinstance(filter_, ListFilter)]

    @classmethod
    def find_names(cls, query: Mapping[str, str]) -> list[str]:
        """The parameters of `query` that filter."""
        return [name for name in query if name in cls.base_filters or name.startswith(cls.prefixes)]

    @classmethod
    def find_narrowing(cls, query: QueryDict) -> list[str]:
        """The parameters of `query` that filter, one entry for each value: rows of two brands have no common order."""
        lists = cls.list_lists()
        counts = {name: len(read_list(query, name)) if name in lists else 1 for name in cls.find_names(query)}
        return [name for name, count in counts.items() for _ in range(count)]


class FilterBackend(DjangoFilterBackend):
    """django-filter's backend, with our problem documents."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        kind = view.filterset_class
        return narrow_rows(kind, request.query_params, queryset) if kind else queryset


def narrow_rows(kind: type[SparseFilterSet], query: Mapping[str, str], rows: QuerySet[Any]) -> QuerySet[Any]:
    """The `rows` that match the filters in `query`. Raises InvalidFilters, which names each invalid value."""
    if not (names := kind.find_names(query)):
        return rows
    filters = kind(query, rows, names=names)
    if not filters.is_valid():
        raise InvalidFilters({name: [str(text) for text in texts] for name, texts in filters.errors.items()})
    narrowed: QuerySet[Any] = filters.qs
    return narrowed


class OrderingBackend(BaseFilterBackend):
    """`ordering=` from the view's allow-list. The primary key is appended, so that the order of all rows is defined.

    Every column in an allow-list is NOT NULL, since a cursor can't hold a NULL. `index_served` lists the view's
    (filter, column) pairs whose order an index gives; `unserved` finds the pages of others.
    """

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        allowed = tuple(getattr(view, "orderings", ()))
        asked = read_choice(request.query_params, "ordering", allowed) if allowed else None
        if asked is None and queryset.query.order_by:
            return queryset  # a search orders by its rank
        name = asked or view.default_ordering
        sign, column = ("-", name[1:]) if name.startswith("-") else ("", name)
        ties = () if column == queryset.model._meta.pk.name else (f"{sign}pk",)
        rows = queryset.order_by(f"{sign}{view.order_columns.get(column, column)}", *ties)
        if not view.filterset_class:
            return rows
        narrowing = view.filterset_class.find_narrowing(request.query_params)
        return choose_steps(rows, view.get_queryset, name, narrowing, view.index_served)
