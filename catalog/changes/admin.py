"""The admin of the change log: who changed which row, when, from what to what, with a way back."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from catalog.changes.history import describe_changes
from catalog.changes.log import number_changes
from catalog.changes.models import Change
from catalog.changes.sentences import list_differences, tell_changes
from catalog.changes.undo.admin import link_undo, may_undo
from catalog.changes.undo.rows import list_columns, list_restorable
from catalog.changes.visibility import only_visible
from catalog.staff.filters import EntityFilter, OfProductIdFilter, OfRequestFilter, WhenFilter, WhoFilter
from config.api.admin.cells import show_unbroken
from config.api.admin.lists import ChangeList, ReadOnlyAdmin


class ToldChanges(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        """The page's changes, each with its sentence: so these cost the same queries for 1 and for 50."""
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        told = tell_changes(self.result_list)
        for change in self.result_list:
            change.told = told[change.pk]


class ChangeAdmin(ReadOnlyAdmin):
    """Changes, the newest first. Nobody can edit them."""

    icon = "history"
    list_display = ("moment", "sentence", "who")
    list_filter = (WhoFilter, ("at", WhenFilter), EntityFilter, OfProductIdFilter, OfRequestFilter)
    search_fields = ("position__exact",)
    search_help_text = "A position"
    ordering = ("-position",)
    fields = ("sentence", ("who", "at"), "differences", "request_id", ("position", "version"), "product_id")
    readonly_fields = ("sentence", "who", "differences")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ToldChanges

    def get_list_display(self, request: HttpRequest) -> Sequence[str]:
        shown: Sequence[str] = super().get_list_display(request)
        return (*shown, "way_back") if may_undo(request) else shown

    def get_queryset(self, request: HttpRequest) -> QuerySet[Change]:
        number_changes()
        # Of the change of an order, the page shows the order.
        return only_visible(super().get_queryset(request), request.user)

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        change = super().get_object(request, *args, **kwargs)
        if change is not None:
            change.told, change.may_undo = tell_changes([change])[change.pk], may_undo(request)
        return change

    def search_for(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        # A position has digits only, and a number of more than 18 digits doesn't fit its column.
        position = term.isascii() and term.isdigit() and len(term) <= 18
        return super().search_for(queryset, term) if position else queryset.none()

    @admin.display(description="when")
    def moment(self, change: Change) -> str:
        return show_unbroken(f"{change.at:%Y-%m-%d %H:%M:%S}")

    @admin.display(description="who")
    def who(self, change: Any) -> str:
        return str(change.told.who)

    @admin.display(description="what")
    def sentence(self, change: Any) -> SafeString:
        return render_to_string("admin/sentence.html", {"sentence": change.told.sentence})

    @admin.display(description="")
    def way_back(self, change: Change) -> str:
        return link_undo(change.request_id)

    @admin.display(description="before and after")
    def differences(self, change: Any) -> SafeString:
        """The columns that differ, each with its way back; all columns if the row was created or deleted."""
        [shown] = describe_changes([change.pk])
        rows = [(*told, link_column(change, name)) for name, *told in list_differences(shown)]
        return render_to_string("admin/differences.html", {"head": ("column", "before", "after", ""), "rows": rows})


def link_column(change: Any, name: str) -> SafeString | str:
    """The way back of one column; "" if none can go back alone, or if the user may not undo."""
    is_restored = change.entity in list_restorable() and name in list_columns(change.entity)
    if not (change.may_undo and is_restored and change.op == Change.Op.UPDATE and change.request_id):
        return ""
    return link_undo(change.request_id, "Undo this…", columns=name)
