"""Orders and their lines. Staff move an order by the same steps as in the API."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import TabularInline
from unfold.decorators import display

from accounts.models import Order, OrderLine
from accounts.orders import RESERVING, STEPS, move_order
from accounts.staff.filters import OfOrderFilter, OfUserFilter
from config.api.admin.lists import BoundedAdmin, ReadOnlyAdmin
from config.api.problems.errors import Conflict


class OrderLineInline(TabularInline):
    model = OrderLine
    fields = ("sku", "title", "price", "quantity")
    readonly_fields = fields
    extra = 0
    show_title = False
    per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        return False


class StepForm(forms.ModelForm):  # type: ignore[type-arg]  # takes no brackets at run time
    """A form that offers the order's status and the statuses that may follow it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The field is missing for users who may only view.
        if field := self.fields.get("status"):
            now = self.instance.status
            field.choices = [(status, Order.Status(status).label) for status in (now, *STEPS[now])]  # type: ignore[attr-defined]  # a ChoiceField


# The most orders that one action moves; each takes a transaction.
MOVED_MOST = 1_000
REFUSALS_SHOWN = 10


def build_step(status: Order.Status) -> Callable[..., None]:
    """An admin action that moves orders to `status`, each in its own transaction."""

    @admin.action(permissions=("change",), description=f"Mark the selected orders as {status}")
    def move(model_admin: "OrderAdmin", request: HttpRequest, queryset: QuerySet[Order]) -> None:
        # Once, before the moves: the list may be filtered by the status that they change.
        orders = list(queryset[:MOVED_MOST])
        refusals = list(filter(None, [try_move(order, status) for order in orders]))
        moved = len(orders) - len(refusals)
        model_admin.message_user(request, f"{moved} {'order' if moved == 1 else 'orders'} marked as {status}.")
        for refusal in refusals[:REFUSALS_SHOWN]:
            model_admin.message_user(request, refusal, messages.ERROR)

    move.__name__ = f"mark_{status}"
    return move


def try_move(order: Order, status: str) -> str | None:
    """Move the order. Returns None, or why it can't be moved."""
    try:
        move_order(order, status)
    except Conflict as refusal:
        return f"{order}: {refusal.detail} {refusal.hint}"
    return None


class OrderAdmin(BoundedAdmin):
    """Orders. Staff can only change the status, by the same steps as in the API. All else stays as it was ordered."""

    icon = "receipt_long"
    in_palette = True
    form = StepForm
    actions = (
        *(build_step(status) for status in Order.Status if status != Order.Status.PLACED),  # type: ignore[arg-type]  # functions are actions too
        "delete_selected",
    )
    inlines = (OrderLineInline,)
    list_display = ("number", "user", "state", "amount", "placed_at")
    list_filter = ("status", OfUserFilter)
    list_select_related = ("user",)
    ordering = ("-placed_at", "-pk")
    sortable_by = ("number", "placed_at")
    search_fields = ("number__exact", "user__email__lower")
    search_help_text = "Number, or the user's e-mail address in lower case"
    fields = (("number", "status"), "user", ("subtotal", "total", "currency"), "placed_at")
    readonly_fields = ("number", "user", "subtotal", "total", "currency", "placed_at")

    def describe_found(self, row: Order) -> tuple[str, str]:
        return row.number, f"of {row.user}, {row.get_status_display().lower()}, {row.total} {row.currency}"

    @admin.display(description="total")
    def amount(self, order: Order) -> str:
        return f"{order.total} {order.currency}"

    @display(
        description="status",
        label={"Paid": "info", "Shipped": "info", "Completed": "success", "Canceled": "danger"},
    )  # type: ignore[untyped-decorator]  # unfold has no types
    def state(self, order: Order) -> str:
        return order.get_status_display()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if "status" in form.changed_data:
            move_order(obj, form.cleaned_data["status"])

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            response: HttpResponse = super().changeform_view(request, object_id, form_url, extra_context)
        except Conflict as refusal:
            # Another user has moved the order since the page was opened, or too little stock is reserved.
            self.message_user(request, f"{refusal.detail} {refusal.hint}", messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return response

    def find_hindrances(self, request: HttpRequest, rows: Sequence[Any]) -> Iterator[str]:
        yield from super().find_hindrances(request, rows)
        for order in rows:
            if order.status in RESERVING:
                yield f"{order} has reserved pieces; cancel it first."


class OrderLineAdmin(ReadOnlyAdmin):
    icon = "list_alt"
    list_display = ("order", "sku", "title", "price", "quantity")
    list_filter = (OfOrderFilter,)
    list_select_related = ("order",)
    search_fields = ("order__number__exact",)
    search_help_text = "A whole order number"
    # Without product and variant: the page would read both for their names.
    fields = ("order", "sku", "title", "price", "quantity")
