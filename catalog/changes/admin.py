"""The admin of the change log: who changed which row, when, and in which request."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold.decorators import display

from catalog.changes.history import describe_changes
from catalog.changes.log import number_changes
from catalog.changes.models import Change
from catalog.changes.visibility import only_visible
from catalog.staff.filters import EntityFilter, OfProductIdFilter
from config.api.admin.cells import show_unbroken
from config.api.admin.lists import ReadOnlyAdmin


class ChangeAdmin(ReadOnlyAdmin):
    """Changes, the newest first. Nobody can edit them."""

    icon = "history"
    list_display = ("position", "moment", "entity", "code", "operation", "version", "actor", "request_id")
    list_filter = (EntityFilter, OfProductIdFilter)
    search_fields = ("position__exact",)
    search_help_text = "A position"
    ordering = ("-position",)
    fields = (
        ("position", "at"),
        ("actor", "request_id"),
        ("entity", "entity_id", "op"),
        ("version", "sku", "product_id"),
        "differences",
    )
    readonly_fields = ("differences",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Change]:
        number_changes()
        # Of the change of an order, the page shows the order.
        return only_visible(super().get_queryset(request), request.user)

    def search_for(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        # A position has digits only, and a number of more than 18 digits doesn't fit its column.
        position = term.isascii() and term.isdigit() and len(term) <= 18
        return super().search_for(queryset, term) if position else queryset.none()

    @admin.display(description="at")
    def moment(self, change: Change) -> str:
        return show_unbroken(f"{change.at:%Y-%m-%d %H:%M:%S}")

    @admin.display(description="row")
    def code(self, change: Change) -> str:
        return show_unbroken(change.sku or str(change.entity_id))

    @admin.display(description="before and after")
    def differences(self, change: Change) -> SafeString:
        """The columns that differ; all columns if the row was created or deleted."""
        [shown] = describe_changes([change.pk])
        before, after = shown["before"] or {}, shown["after"] or {}
        rows = [(name, before.get(name, "-"), after.get(name, "-")) for name in before | after]
        head = ("column", "before", "after")
        return render_to_string("admin/differences.html", {"head": head, "rows": rows})

    @display(description="op", label={"Create": "success", "Update": "info", "Delete": "danger", "Truncate": "danger"})  # type: ignore[untyped-decorator]  # unfold has no types
    def operation(self, change: Change) -> str:
        return change.get_op_display()
