"""The admin's page of scheduled prices: they are planned and canceled, and never changed."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from catalog.models import ScheduledPrice
from catalog.prices.scheduling import cancel_price, lock_variant, refuse_overlap, refuse_times
from config.api.admin.lists import BoundedAdmin
from config.api.database.authorship import ACTOR
from config.api.problems.errors import ApiError, Conflict, InvalidBody

PLANNED = ("variant", "price", "starts_at", "ends_at")
# The fields of the members that an error names.
MEMBERS = {"/from": "starts_at", "/until": "ends_at", "/sku": "variant"}


class ScheduledPriceForm(forms.ModelForm[ScheduledPrice]):
    """The same rules as in the API. The admin's transaction holds the product's lock until the row is saved."""

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return values
        try:
            refuse_times(values["starts_at"], values["ends_at"])
            refuse_overlap(lock_variant(values["variant"].sku), values["starts_at"], values["ends_at"])
        except (Conflict, InvalidBody) as error:
            raise ValidationError(tell_faults(error)) from error
        self.instance.due_at, self.instance.author = values["starts_at"], ACTOR.get()
        return values


def tell_faults(error: ApiError) -> dict[str, list[str]]:
    return {MEMBERS[fault.pointer]: [fault.detail] for fault in error.faults}


class ScheduledPriceAdmin(BoundedAdmin):
    icon = "event_upcoming"
    form = ScheduledPriceForm
    list_display = ("variant", "price", "starts_at", "ends_at", "state", "price_before")
    list_filter = ("state",)
    list_select_related = ("variant",)
    ordering = ("-pk",)
    sortable_by = ()
    search_fields = ("variant__sku__exact",)
    search_help_text = "A variant's whole SKU"
    fields = (*PLANNED, "state", "price_before")
    readonly_fields = ("state", "price_before")
    raw_id_fields = ("variant",)
    actions: ClassVar = ("delete_selected",)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # Cancel it, and plan another one.
        return False

    def delete_model(self, request: HttpRequest, obj: ScheduledPrice) -> None:
        with transaction.atomic():
            cancel_price(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ScheduledPrice]) -> None:
        for row in queryset.order_by("pk"):
            self.delete_model(request, row)
