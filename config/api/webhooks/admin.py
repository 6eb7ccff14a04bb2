"""The admin's pages of webhooks: what is told to whom, what the receivers answered, and the ways to go on."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from config.api.admin.cells import show_moment, show_unbroken
from config.api.admin.lists import BoundedAdmin, ReadOnlyAdmin
from config.api.webhooks.events import EVENTS
from config.api.webhooks.models import FRESH, Status, Webhook, WebhookDelivery
from config.api.webhooks.outbound import check_url
from config.api.webhooks.serializers import list_names

LABELS = {"Active": "success", "Paused": "warning", "Ended": "danger"}
DELIVERIES_SHOWN = 20


FILTER = "filter_"


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]  # takes no brackets at run time
    """The same rules as over the API. `make_form` adds a field for each filter."""

    events = forms.MultipleChoiceField(
        choices=lambda: [(name, name) for name in list_names()],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="A name that ends in .* stands for all events of its kind.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, values in self.instance.filters.items():
            field: Any = self.fields.get(f"{FILTER}{name}")
            if field:
                rows = getattr(field, "queryset", None)
                field.initial = values if rows is None else rows.filter(slug__in=values)

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            check_url(url)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        return url

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        chosen = {name.removeprefix(FILTER): value for name, value in values.items() if name.startswith(FILTER)}
        self.instance.filters = {
            name: [getattr(each, "slug", each) for each in value] for name, value in chosen.items() if value
        }
        return values


def make_form() -> type[WebhookForm]:
    fields = {f"{FILTER}{name}": field for name, field in EVENTS.log.make_filter_fields().items()}
    for name, field in fields.items():
        field.label = name.removeprefix(FILTER).capitalize()
    return type("WebhookForm", (WebhookForm,), fields)


class DeliveryInline(TabularInline):
    model = WebhookDelivery
    fields = ("at", "type", "message", "attempt", "status", "error", "answer", "milliseconds")
    readonly_fields = fields
    ordering = ("-pk",)
    extra = 0
    show_title = False
    per_page = DELIVERIES_SHOWN

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


class WebhookAdmin(BoundedAdmin):
    """All users' webhooks. One that staff add is theirs; its secret is shown once, after it was saved."""

    icon = "webhook"
    inlines = (DeliveryInline,)
    actions = ("resume", "pause", "test", "delete_selected")
    list_display = ("number", "url", "owner", "state", "told", "next", "error")
    list_filter = ("status",)
    list_select_related = ("owner",)
    search_fields = ("owner__email__lower",)
    search_help_text = "The owner's e-mail address in lower case"
    fields = (
        "url", "description", "events", "expand", ("status", "position"), "error", ("failures", "next_at"),
        "owner",
    )  # fmt: skip
    readonly_fields = ("status", "position", "error", "failures", "next_at", "owner")

    @admin.display(description="webhook", ordering="pk")
    def number(self, webhook: Webhook) -> str:
        return f"#{webhook.pk}"

    @display(description="status", label=LABELS)  # type: ignore[untyped-decorator]  # unfold has no types
    def state(self, webhook: Webhook) -> str:
        return webhook.get_status_display()

    @admin.display(description="told until")
    def told(self, webhook: Webhook) -> str:
        return show_unbroken(f"{webhook.position:,}")

    @admin.display(description="next attempt")
    def next(self, webhook: Webhook) -> str:
        return show_moment(webhook.next_at) if webhook.failures else "-"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Messages have what the owner may see, so nobody else chooses where they go. Superusers see all of it."""
        is_own = obj is None or obj.owner_id == request.user.pk or request.user.is_superuser
        return is_own and super().has_change_permission(request, obj)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **{"form": make_form()} | kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        filters = [f"{FILTER}{name}" for name in EVENTS.log.make_filter_fields()]
        place = self.fields.index("expand")
        return [*self.fields[:place], *filters, *self.fields[place:]]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            # Whoever sends now loses the lease, and the next one sends by the new values.
            fresh = FRESH if "url" in form.changed_data else {}
            obj.find_row().revoke(filters=obj.filters, **fresh)
            return
        obj.owner, obj.position = request.user, EVENTS.log.find_newest()
        obj.save()
        self.message_user(request, f"Its secret, which isn't shown again: {obj.secret}", messages.WARNING)

    @admin.action(permissions=("change",), description="Make active, and try at once")
    def resume(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.tell(request, queryset.order_by().update(status=Status.ACTIVE, **FRESH), "active")

    @admin.action(permissions=("change",), description="Pause")
    def pause(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        number = Webhook.objects.filter(pk__in=queryset.values("pk"), status=Status.ACTIVE).revoke(status=Status.PAUSED)
        self.tell(request, number, "paused")

    @admin.action(permissions=("change",), description="Send a test message")
    def test(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.tell(request, queryset.order_by().update(is_test_due=True), "sent a test message soon")

    def tell(self, request: HttpRequest, number: int, what: str) -> None:
        self.message_user(request, f"{number} {'webhook is' if number == 1 else 'webhooks are'} {what}.")


class DeliveryAdmin(ReadOnlyAdmin):
    icon = "outgoing_mail"
    list_display = ("at", "webhook", "type", "message", "attempt", "status", "error", "milliseconds")
    list_select_related = ("webhook",)
    search_fields = ("webhook__id__exact",)
    search_help_text = "A webhook's number"

    def search_for(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        is_number = term.isascii() and term.isdigit() and len(term) <= 18
        return super().search_for(queryset, term) if is_number else queryset.none()
