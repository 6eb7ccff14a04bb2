"""The admin's pages of accounts: users by e-mail, groups, tokens without their secrets, addresses, orders."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import TabularInline, checkbox
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.events import Event
from accounts.models import Address, AuthToken, Order, OrderLine, SessionOwner, User
from accounts.orders import RESERVING, STEPS, move_order
from accounts.tokens import revoke
from config.api.admin.lists import BoundedAdmin, ReadOnlyAdmin
from config.api.problems.errors import Conflict

# The fields that give a user permissions. Only a superuser may change them.
POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")

admin.site.unregister(Group)


class OfUserFilter(TextFilter):
    """Rows of one user, by the whole e-mail address. A subselect of one id, so that the index on the user is used."""

    title = "user's e-mail address"
    parameter_name = "of_user"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(user__in=User.objects.filter(email__lower=self.value().lower()).values("pk"))


class OfOrderFilter(TextFilter):
    title = "order's number"
    parameter_name = "of_order"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(order__in=Order.objects.filter(number=self.value()).values("pk"))


class ExpiryFilter(admin.SimpleListFilter):
    title = "expired"
    parameter_name = "expired"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return (("yes", "Yes"), ("no", "No"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuthToken]) -> QuerySet[AuthToken]:
        match self.value():
            case "yes":
                return queryset.filter(expiry__lt=timezone.now())
            case "no":
                return queryset.exclude(expiry__lt=timezone.now())
        return queryset


class AddUserForm(UserCreationForm):
    """Asks for the e-mail address (unfold's form has a user name), which must be unique in any case."""

    class Meta:
        model = User
        fields = ("email",)
        field_classes: ClassVar[dict[str, type]] = {}

    def clean_email(self) -> str:
        email: str = User.objects.normalize_email(self.cleaned_data["email"])
        if User.objects.filter(email__lower=email.lower()).exists():
            raise forms.ValidationError("A user with this e-mail address already exists.")
        return email


class ChangeUserForm(UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"
        field_classes: ClassVar[dict[str, type]] = {}


@admin.register(User)
class UserAdmin(BoundedAdmin, DjangoUserAdmin):  # type: ignore[type-arg, misc]  # takes no brackets at run time; unfold has no types
    """Users. Staff can't change users with more permissions: who sets a user's password can sign in as them."""

    icon = "person"
    form = ChangeUserForm
    add_form = AddUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "first_name", "last_name", "is_staff", "is_active", "date_joined")  # type: ignore[misc]  # the stubs take it for an instance variable
    list_filter = ("is_active", "is_staff", "is_superuser")
    ordering = ("-pk",)
    sortable_by = ("email",)
    # An index serves both lookups; "contains" would read every user.
    search_fields = ("email__lower", "email__startswith")
    search_help_text = "E-mail address, or its beginning"
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ("groups", "user_permissions")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Name", {"fields": (("first_name", "last_name"),)}),
        ("Permissions", {"fields": (("is_active", "is_staff", "is_superuser"), "groups", "user_permissions")}),
        ("Times", {"fields": (("last_login", "date_joined"),)}),
    )
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return super().get_search_results(request, queryset, search_term.lower())

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, *(() if request.user.is_superuser else POWERS))

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and may_touch(request, obj)

    def find_hindrances(self, request: HttpRequest, rows: Sequence[Any]) -> Iterator[str]:
        yield from super().find_hindrances(request, rows)
        # The bulk action checks the permission only once, without a row.
        for user in rows:
            if not may_touch(request, user):
                yield f"{user} has permissions that you lack. Ask a superuser."


def may_touch(request: HttpRequest, user: User | None) -> bool:
    giver: Any = request.user
    return bool(user is None or giver.covers(user))


class GroupForm(forms.ModelForm):  # type: ignore[type-arg]  # takes no brackets at run time
    """Users can't give a group permissions that they lack: they may be members of the group."""

    giver: ClassVar[User]

    def clean_permissions(self) -> QuerySet[Permission]:
        chosen: QuerySet[Permission] = self.cleaned_data["permissions"]
        kept = self.instance.permissions.values("pk") if self.instance.pk else ()
        added = chosen.exclude(pk__in=kept).values_list("content_type__app_label", "codename")
        lacking = [right for app, name in added if not self.giver.has_perm(right := f"{app}.{name}")]
        if lacking:
            raise forms.ValidationError(f"You don't have {', '.join(sorted(lacking))}, so you can't give it.")
        return chosen


@admin.register(Group)
class GroupAdmin(BoundedAdmin, DjangoGroupAdmin):  # type: ignore[misc]  # unfold has no types
    icon = "group"
    form = GroupForm
    ordering = ("name",)
    search_fields = ("name__contains",)
    list_display = ("name",)  # type: ignore[misc]  # the same

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, *args, **kwargs)
        form.giver = request.user
        return form


@admin.register(AuthToken)
class AuthTokenAdmin(ReadOnlyAdmin):
    """Tokens: a list, and an action that revokes them. Only the API creates tokens, since it shows the secret once.

    The table's primary key is the digest, and no page shows it. Forms identify a row by the first 15 of the token's 64
    characters, which knox stores as plain text.
    """

    icon = "key"
    actions = ("revoke",)
    list_display = ("name", "prefix", "user", "may", "created", "last_used_at", "expiry", "state")
    list_display_links = None
    list_filter = (ExpiryFilter, OfUserFilter)
    list_select_related = ("user",)
    # "digest" makes the order unique, so Django appends nothing to it.
    ordering = ("-created", "digest")
    search_fields = ("token_key__startswith", "user__email__lower")
    search_help_text = "The token's beginning, or its user's e-mail address"

    @admin.display(description="prefix")
    def prefix(self, token: AuthToken) -> str:
        return f"{token.token_key[:6]}…"

    @admin.display(description="may")
    def may(self, token: AuthToken) -> str:
        places = f" from {', '.join(token.allowed_ips)}" if token.allowed_ips else ""
        return f"{', '.join(token.scopes) or 'everything'}{places}"

    @display(description="state", label={"valid": "success", "expired": "danger"})  # type: ignore[untyped-decorator]  # the same
    def state(self, token: AuthToken) -> str:
        return "expired" if token.expiry and token.expiry < timezone.now() else "valid"

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # A single token has no page: its address would have the digest.
        return obj is None and super().has_view_permission(request, obj)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.delete_authtoken")

    @admin.display(description=BoundedAdmin.action_checkbox.short_description)
    def action_checkbox(self, token: AuthToken) -> SafeString:
        return checkbox.render(ACTION_CHECKBOX_NAME, token.token_key)

    def response_action(self, request: HttpRequest, queryset: QuerySet[AuthToken], *args: Any, **kwargs: Any) -> Any:
        """Django finds the selected rows by primary key, so the posted token keys are replaced by their digests."""
        posted = request.POST.copy()
        keys = posted.getlist(ACTION_CHECKBOX_NAME)
        posted.setlist(ACTION_CHECKBOX_NAME, list_digests(keys))
        request.POST = posted  # type: ignore[assignment]  # mutable here, read as before
        return super().response_action(request, queryset, *args, **kwargs)

    @admin.action(permissions=("revoke",), description="Revoke the selected tokens")
    def revoke(self, request: HttpRequest, queryset: QuerySet[AuthToken]) -> None:
        number = revoke(queryset)
        self.message_user(request, f"{number} {'token' if number == 1 else 'tokens'} revoked.", messages.SUCCESS)


def list_digests(keys: Sequence[str]) -> list[str]:
    return list(AuthToken.objects.filter(token_key__in=keys).values_list("digest", flat=True))


@admin.register(SessionOwner)
class SessionAdmin(ReadOnlyAdmin):
    """Sessions of browsers, and an action that ends them."""

    icon = "devices"
    actions = ("end",)
    list_display = ("user", "created_at", "address", "user_agent")
    list_display_links = None
    list_filter = (OfUserFilter,)
    list_select_related = ("user",)
    ordering = ("-created_at", "-id")
    search_fields = ("user__email__lower", "address__exact")
    search_help_text = "The user's whole e-mail address, in lower case, or the network address"

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.delete_sessionowner")

    @admin.action(permissions=("end",), description="End the selected sessions")
    def end(self, request: HttpRequest, queryset: QuerySet[SessionOwner]) -> None:
        number, _ = Session.objects.filter(owner__in=queryset).delete()
        self.message_user(request, f"{number} {'session' if number == 1 else 'sessions'} ended.", messages.SUCCESS)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """The sign-in log. The server alone writes it."""

    icon = "passkey"
    list_display = ("at", "kind", "user", "actor", "address", "detail", "user_agent")
    list_display_links = None
    list_filter = ("kind", OfUserFilter)
    list_select_related = ("user", "actor")
    search_fields = ("user__email__lower", "address__exact")
    search_help_text = "The user's whole e-mail address, in lower case, or the network address"


@admin.register(Address)
class AddressAdmin(BoundedAdmin):
    icon = "home_pin"
    list_display = ("name", "line1", "postcode", "city", "country", "user")
    list_filter = (OfUserFilter,)
    list_select_related = ("user",)
    search_fields = ("user__email__lower",)
    search_help_text = "The user's whole e-mail address, in lower case"
    raw_id_fields = ("user",)


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
        refusals = list(filter(None, [try_move(order, status) for order in queryset[:MOVED_MOST]]))
        moved = min(queryset.count(), MOVED_MOST) - len(refusals)
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


@admin.register(Order)
class OrderAdmin(BoundedAdmin):
    """Orders. Staff can only change the status, by the same steps as in the API. All else stays as it was ordered."""

    icon = "receipt_long"
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

    @admin.display(description="total")
    def amount(self, order: Order) -> str:
        return f"{order.total} {order.currency}"

    @display(
        description="status",
        label={"Paid": "info", "Shipped": "info", "Completed": "success", "Canceled": "danger"},
    )  # type: ignore[untyped-decorator]  # the same
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


@admin.register(OrderLine)
class OrderLineAdmin(ReadOnlyAdmin):
    icon = "list_alt"
    list_display = ("order", "sku", "title", "price", "quantity")
    list_filter = (OfOrderFilter,)
    list_select_related = ("order",)
    search_fields = ("order__number__exact",)
    search_help_text = "A whole order number"
    # Without product and variant: the page would read both for their names.
    fields = ("order", "sku", "title", "price", "quantity")
