"""The base classes of the admin's pages, whose cost doesn't grow with the table.

No COUNT counts more than 10,000 rows, no select box lists a table, and an index serves every order.
"""

from collections.abc import Sequence
from functools import cached_property, reduce
from operator import or_
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.views import ChangeList as UnfoldChangeList

from config.api.admin.counts import count_rows
from config.api.admin.deletion import CountedDeletion
from config.api.admin.forms import RemembersShown, save_changed

# The icon of a table whose admin class has no `icon`.
NO_ICON = "table_rows"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # takes no brackets at run time
    """Counts at most BOUND rows. Pages end there too, since OFFSET reads all rows that it skips."""

    @cached_property
    def count(self) -> int:
        return count_rows(self.object_list)  # type: ignore[arg-type]  # always a queryset here


class ChangeList(UnfoldChangeList):
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
        return (ordering[0], "-pk" if ordering[0].startswith("-") else "pk")


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
    compressed_fields = True

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (self.search_for(queryset, term) if term else queryset), False

    def search_for(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Rows with the whole term in one of the search fields. Django would search for each word."""
        return queryset.filter(reduce(or_, [Q((field, term)) for field in self.search_fields]))

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
