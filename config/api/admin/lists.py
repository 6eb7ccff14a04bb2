"""The base classes of the admin's pages, whose cost doesn't grow with the table.

No COUNT counts more than 10,000 rows, no select box lists a table, and an index serves every order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, SEARCH_VAR
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Field, ForeignKey, Model, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponseRedirect
from unfold.views import ChangeList as UnfoldChangeList

from config.api.admin.counts import count_rows, estimate_sort
from config.api.admin.deletion import CountedDeletion
from config.api.admin.forms import RemembersShown, save_changed
from config.api.admin.saved import clean_query, read_views
from config.api.models import SavedView
from config.api.reads.counting import BOUND

# The icon of a table whose admin class has no `icon`.
NO_ICON = "table_rows"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # takes no brackets at run time
    """Counts at most BOUND rows. Pages end there too, since OFFSET reads all rows that it skips."""

    @cached_property
    def count(self) -> int:
        return count_rows(self.object_list)  # type: ignore[arg-type]  # always a queryset here


@dataclass(frozen=True)
class Chip:
    """A filter of the list that is set, and the address of the list without it."""

    label: str
    address: str


class ChangeList(UnfoldChangeList):
    """A list of the admin, with what stands above it: the filters that are set, and the user's saved views."""

    params: dict[str, Any]

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.request = request
        super().__init__(request, *args, **kwargs)

    def get_results(self, request: HttpRequest) -> None:
        """Hides the link "Show all" if the list already shows all rows."""
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Sequence[Any]:
        """One column, then the primary key, both in the same direction, so that an index serves the order.

        Django would append the admin's own order and "-pk". That can mix directions, which no index serves.
        """
        ordering: Sequence[Any] = super().get_ordering(request, queryset)
        if not self.params.get(ORDER_VAR) or not isinstance(ordering[0], str):
            return ordering
        chosen = (ordering[0], "-pk" if ordering[0].startswith("-") else "pk")
        if estimate_sort(queryset.order_by(*chosen)[: self.list_per_page]) <= BOUND:
            return chosen
        hint = self.model_admin.sort_hint
        messages.warning(request, f"More than {BOUND:,} rows can't be sorted by this. {hint}")
        del self.params[ORDER_VAR]
        default: Sequence[Any] = super().get_ordering(request, queryset)
        return default

    # -- what stands above the list

    @cached_property
    def chips(self) -> list[Chip]:
        chips = [Chip(f"“{self.query}”", self.get_query_string(remove=[SEARCH_VAR, PAGE_VAR]))] if self.query else []
        return [*chips, *self.list_set_filters()]

    def list_set_filters(self) -> Iterator[Chip]:
        for spec in getattr(self, "filter_specs", ()):
            if text := show_filter(spec, self):
                names = [name for name in spec.expected_parameters() if name]
                yield Chip(f"{spec.title}: {text}", self.get_query_string(remove=[*names, PAGE_VAR]))

    @cached_property
    def views(self) -> Sequence[SavedView]:
        return read_views(self.request.user, self.table)

    @property
    def table(self) -> str:
        return str(self.model._meta.label_lower)

    @property
    def own_query(self) -> str:
        """The list's query as a view would save it."""
        return clean_query(self.get_query_string().removeprefix("?"))


def show_filter(spec: Any, changelist: ChangeList) -> str:
    """The filter's value for people; "" if it isn't set."""
    values = [text for name in spec.expected_parameters() for text in changelist.request.GET.getlist(name) if text]
    if not values:
        return ""
    if hasattr(spec, "show"):
        return str(spec.show())
    chosen = [str(choice["display"]) for choice in spec.choices(changelist) if choice.get("selected")]
    return ", ".join(chosen or values)


def name_filter(item: Any) -> str:
    """The column or parameter of an item of `list_filter`: a name, `(name, class)`, or a class."""
    if isinstance(item, tuple | list):
        return str(item[0])
    return str(getattr(item, "parameter_name", item))


def is_key(field: Field[Any, Any], text: str) -> bool:
    """Whether the text can be a value of the key, or of the key that the relation `field` leads to."""
    key = field.target_field if isinstance(field, ForeignKey) else field
    try:
        key.run_validators(key.to_python(text))
    except ValidationError:
        return False
    return "\0" not in text


class BoundedAdmin(RemembersShown, CountedDeletion):
    """The base of all admin classes here. A page opens in the same time at a thousand and at ten million rows.

    `search_fields` have explicit lookups. Each is compared with the whole search text.
    """

    # The table's icon in the sidebar: a name of Material Symbols.
    icon = NO_ICON
    paginator = BoundedPaginator
    show_full_result_count = False  # not enough by itself: the paginator counts too
    show_facets = admin.ShowFacets.NEVER  # facets would count the rows of each choice of each filter
    list_per_page = 50
    list_filter_submit = True
    ordering: ClassVar[Sequence[str]] = ("-pk",)
    sortable_by: ClassVar[Sequence[str]] = ()
    search_fields: ClassVar[Sequence[str]] = ()
    list_display: ClassVar[Sequence[str]] = ("__str__",)
    list_select_related: ClassVar[Sequence[str]] = ()
    readonly_fields: ClassVar[Sequence[str]] = ()
    warn_unsaved_form = True
    list_before_template = "admin/list_head.html"
    # What to do if an order that no index serves would sort too many rows.
    sort_hint = "Narrow the list first."
    # The search palette (Ctrl+K) looks into this table, too.
    in_palette = False
    compressed_fields = True

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ChangeList

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Django's method. It asks the database for whatever is selected, also for what is no key."""
        if not all(is_key(self.opts.pk, text) for text in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            messages.error(request, "A selected row has no such key. Nothing was changed; select the rows again.")
            return HttpResponseRedirect(request.get_full_path())
        return super().changelist_view(request, *args, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Django's method: what the address of a new row's form proposes. What is no key of a row is left out."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        related = {field.name: field for field in self.opts.fields if field.is_relation}
        return {name: value for name, value in initial.items() if name not in related or is_key(related[name], value)}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Only columns that a filter of the list names.

        Django takes each column of the table, and keys of others. So a session's key, which no page shows, could be
        found letter by letter: `?session__session_key__startswith=a`.
        """
        column = lookup.split(LOOKUP_SEP, maxsplit=1)[0]
        return super().lookup_allowed(lookup, value, request) and (
            column in self.list_filtered(request) or not self.has_column(column)
        )

    def list_filtered(self, request: HttpRequest) -> set[str]:
        names = [self.date_hierarchy or "", *map(name_filter, self.get_list_filter(request))]
        return {name.split(LOOKUP_SEP)[0] for name in names}

    def has_column(self, name: str) -> bool:
        return name == "pk" or any(
            name in (field.name, getattr(field, "attname", None)) for field in self.opts.get_fields(include_hidden=True)
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (self.search_for(queryset, term) if term else queryset), False

    def search_for(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Rows with the whole term in one of the search fields; none without any. Django would search for each word."""
        if not self.search_fields:
            return queryset.none()
        return queryset.filter(reduce(or_, [Q((field, term)) for field in self.search_fields]))

    def describe_found(self, row: Any) -> tuple[str, str]:
        """What the palette says of a row: its name, and what tells it from others of this name."""
        return str(row), ""

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm[Any], change: bool) -> None:
        if change:
            save_changed(obj, form)
        else:
            obj.save()


class ReadOnlyAdmin(BoundedAdmin):
    """Rows that staff can only view."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
