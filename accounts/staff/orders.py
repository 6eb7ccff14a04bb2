"""Orders and their lines. Staff move an order by the same steps as in the API."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import display

from accounts.models import Order, OrderLine
from accounts.orders import RESERVING, STEPS, move_order
from accounts.staff.customers import find_customers
from accounts.staff.filters import OfOrderFilter, OfUserFilter
from accounts.staff.order_address import COLUMNS, try_form
from accounts.staff.order_pages import show_address, show_customer, show_steps, show_timeline
from accounts.staff.pieces import WAYS, Way, count_unsent, move_pieces
from config.api.admin.cells import show_picture, show_unbroken
from config.api.admin.confirming import ask_first, is_confirmed
from config.api.admin.lists import BoundedAdmin, ReadOnlyAdmin
from config.api.problems.errors import Conflict


class OrderLineInline(TabularInline):
    model = OrderLine
    fields = ("picture", "article", "name", "price", "quantity", "amount", "sent")
    readonly_fields = fields
    extra = 0
    show_title = False
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderLine]:
        rows: QuerySet[OrderLine] = super().get_queryset(request).select_related("product", "order")
        return rows

    @admin.display(description="")
    def picture(self, line: OrderLine) -> SafeString | str:
        return show_picture(line.product.image_url if line.product else "", "")

    @admin.display(description="SKU")
    def article(self, line: OrderLine) -> SafeString | str:
        """The SKU, as a link to the product if it is still there."""
        if line.product_id is None:
            return line.sku
        style = "text-primary-600 whitespace-nowrap dark:text-primary-500"
        address = reverse("admin:catalog_product_change", args=(line.product_id,))
        return format_html('<a class="{}" href="{}">{}</a>', style, address, line.sku)

    @admin.display(description="title")
    def name(self, line: OrderLine) -> SafeString:
        """Wide enough to be read on a telephone, where the table is scrolled."""
        return format_html('<span class="block" style="min-width: 10rem">{}</span>', line.title)

    @admin.display(description="total")
    def amount(self, line: OrderLine) -> str:
        return show_unbroken(f"{line.price * line.quantity} {line.order.currency}")

    @admin.display(description="shipped")
    def sent(self, line: OrderLine) -> str:
        why = f" ({line.return_reason})" if line.return_reason else ""
        back = f", {line.returned:,} back{why}" if line.returned else ""
        return f"{line.shipped:,} of {line.quantity:,}{back}"

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
FINAL = "There is no way back: the stock follows the status, and the customer sees it."


class CancelForm(forms.Form):
    """Nothing to fill in: what the button posted, and that it was meant."""

    step = forms.CharField(widget=forms.HiddenInput, initial=Order.Status.CANCELED)
    confirmed = forms.CharField(widget=forms.HiddenInput, initial="1")


def build_step(status: Order.Status) -> Callable[..., HttpResponse | None]:
    """An admin action that asks first, then moves orders to `status`, each in its own transaction."""

    @admin.action(permissions=("change",), description=f"Mark the selected orders as {status}")
    def move(model_admin: "OrderAdmin", request: HttpRequest, queryset: QuerySet[Order]) -> HttpResponse | None:
        if not is_confirmed(request):
            return ask_first(model_admin, request, queryset, f"marked as {status}", FINAL)
        # Once, before the moves: the list may be filtered by the status that they change.
        orders = list(queryset[:MOVED_MOST])
        refusals = list(filter(None, [try_move(order, status) for order in orders]))
        moved = len(orders) - len(refusals)
        model_admin.message_user(request, f"{moved} {'order' if moved == 1 else 'orders'} marked as {status}.")
        for refusal in refusals[:REFUSALS_SHOWN]:
            model_admin.message_user(request, refusal, messages.ERROR)
        return None

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
    list_display = ("number", "customer_name", "user", "state", "amount", "placed_at")
    list_filter = ("status", OfUserFilter)
    list_select_related = ("user",)
    ordering = ("-placed_at", "-pk")
    sortable_by = ("number", "placed_at")
    search_fields = ("number__exact",)
    search_help_text = "Number, reference or SKU, or the customer's name or e-mail address"
    readonly_fields = (
        "number", "next_step", "customer", "note", "reference", "ship_to", "bill_to", "subtotal", "total", "currency",
        "placed_at", "timeline",
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": (("number", "status"), "next_step", ("customer", "reference"), "note")}),
        ("Addresses", {"fields": (("ship_to", "bill_to"),)}),
        ("Total", {"fields": (("subtotal", "total", "currency"), "placed_at")}),
        ("Timeline", {"fields": ("timeline",)}),
    )

    def describe_found(self, row: Order) -> tuple[str, str]:
        return row.number, f"of {row.user}, {row.get_status_display().lower()}, {row.total} {row.currency}"

    def search_for(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """By number, reference or SKU; or those of customers. Not joined by OR: PostgreSQL might read all orders."""
        if customers := find_customers(term):
            return queryset.filter(user__in=customers)
        orders: Any = queryset
        found: QuerySet[Any] = orders.naming(term)
        return found

    # -- the page

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, tuple[Any, dict[str, Any]]] = {"step": (self.step, {}), "slip": (self.slip, {})}
        views |= {name: (self.pieces, {"way": way}) for name, way in WAYS.items()}
        views |= {name: (self.address, {"column": column}) for name, column in COLUMNS.items()}
        own = [
            path(f"<int:pk>/{name}/", self.admin_site.admin_view(view), more, f"accounts_order_{name}")
            for name, (view, more) in views.items()
        ]
        return [*own, *super().get_urls()]

    def step(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST moves the order on; before it is canceled, asks. The second who presses the same button is told."""
        order = self.get_own(request, pk)
        if request.POST.get("step") == Order.Status.CANCELED and not is_confirmed(request):
            return self.ask_order(
                request, order, CancelForm(), title="Cancel", note=FINAL, word="Yes, cancel the order"
            )
        if request.method == "POST" and (status := request.POST.get("step")) in Order.Status.values:
            refusal = try_move(order, status)
            told = refusal or f"{order} is {status} now."
            self.message_user(request, told, messages.ERROR if refusal else messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:accounts_order_change", args=(pk,)))

    def pieces(self, request: HttpRequest, pk: int, way: Way) -> HttpResponse:
        """Send some pieces, or take some back."""
        order = self.get_own(request, pk)
        return move_pieces(self, request, order, way)

    def address(self, request: HttpRequest, pk: int, column: str) -> HttpResponse:
        """Correct an address while the order is placed."""
        order = self.get_own(request, pk)
        form, is_done = try_form(request.POST if request.method == "POST" else None, order, column, request.user)
        if is_done:
            return self.leave_order(request, order, "The address is corrected.")
        title, note = f"Correct the {column.replace('_', ' ')}", "The customer's own addresses stay as they are."
        return self.ask_order(request, order, form, title=title, note=note, word="Save")

    def slip(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What is left to be sent, to be printed and put into the parcel: no prices."""
        order = super().get_object(request, str(pk))
        if order is None or not self.has_view_permission(request, order):
            raise PermissionDenied
        lines = list(order.lines.all())
        for line in lines:
            line.left = count_unsent(line)
        context = {"order": order, "lines": lines, "ship_to": show_address(order.shipping_address)}
        return TemplateResponse(request, "admin/packing_slip.html", context)

    def get_own(self, request: HttpRequest, pk: int) -> Order:
        """The order that the user may change. Raises PermissionDenied."""
        order: Order | None = self.get_object(request, str(pk))
        if order is None or not self.has_change_permission(request, order):
            raise PermissionDenied
        return order

    def ask_order(self, request: HttpRequest, order: Order, form: Any, **more: str) -> HttpResponse:
        more["title"] = f"{more['title']}: {order}"
        context = {
            **self.admin_site.each_context(request), "opts": self.opts, "form": form, "media": form.media,
            "back": reverse("admin:accounts_order_change", args=(order.pk,)), **more,
        }  # fmt: skip
        return TemplateResponse(request, "admin/order_form.html", context)

    def leave_order(self, request: HttpRequest, order: Order, done: str) -> HttpResponse:
        self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:accounts_order_change", args=(order.pk,)))

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        order = super().get_object(request, *args, **kwargs)
        if order is not None:
            order.may_be_moved = self.has_change_permission(request, order)
        return order

    @admin.display(description="next step")
    def next_step(self, order: Any) -> SafeString | str:
        return show_steps(order, reverse("admin:accounts_order_step", args=(order.pk,))) if order.may_be_moved else "-"

    @admin.display(description="customer")
    def customer(self, order: Order) -> SafeString:
        return show_customer(order)

    @admin.display(description="customer")
    def customer_name(self, order: Order) -> str:
        return order.user.get_full_name() or "-"

    @admin.display(description="ship to")
    def ship_to(self, order: Any) -> SafeString:
        return show_address(order.shipping_address, self.find_correction(order, "ship_to"))

    @admin.display(description="bill to")
    def bill_to(self, order: Any) -> SafeString:
        return show_address(order.billing_address, self.find_correction(order, "bill_to"))

    def find_correction(self, order: Any, name: str) -> str:
        may = order.may_be_moved and order.status == Order.Status.PLACED
        return reverse(f"admin:accounts_order_{name}", args=(order.pk,)) if may else ""

    @admin.display(description="timeline")
    def timeline(self, order: Order) -> SafeString:
        return show_timeline(order)

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
