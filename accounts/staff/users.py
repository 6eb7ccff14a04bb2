"""Users by e-mail address, groups, addresses. Nobody gives, or takes over, what they don't have."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.models import User
from accounts.staff.customers import find_customers
from accounts.staff.filters import OfUserFilter
from config.api.admin.lists import BoundedAdmin

# The fields that give a user permissions. Only a superuser may change them.
POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")


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


class UserAdmin(BoundedAdmin, DjangoUserAdmin):  # type: ignore[type-arg, misc]  # takes no brackets at run time; unfold has no types
    """Users. Staff can't change users with more permissions: who sets a user's password can sign in as them."""

    icon = "person"
    in_palette = True
    form = ChangeUserForm
    add_form = AddUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "first_name", "last_name", "is_staff", "is_active", "date_joined")  # type: ignore[misc]  # the stubs take it for an instance variable
    list_filter = ("is_active", "is_staff", "is_superuser")
    ordering = ("-pk",)
    sortable_by = ("email",)
    # An index serves both lookups; "contains" would read every user.
    search_fields = ("email__lower", "email__startswith")
    search_help_text = "E-mail address or its beginning, or a name"
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ("groups", "user_permissions")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Name", {"fields": (("first_name", "last_name"),)}),
        ("Permissions", {"fields": (("is_active", "is_staff", "is_superuser"), "groups", "user_permissions")}),
        ("Times", {"fields": (("last_login", "date_joined"),)}),
    )
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)

    def describe_found(self, row: User) -> tuple[str, str]:
        return row.email, row.get_full_name()

    def search_for(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(pk__in=find_customers(term))

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


class GroupAdmin(BoundedAdmin, DjangoGroupAdmin):  # type: ignore[misc]  # unfold has no types
    icon = "group"
    form = GroupForm
    ordering = ("name",)
    search_fields = ("name__contains",)
    list_display = ("name",)  # type: ignore[misc]  # the stubs take it for an instance variable

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, *args, **kwargs)
        form.giver = request.user
        return form


class AddressAdmin(BoundedAdmin):
    icon = "home_pin"
    list_display = ("name", "line1", "postcode", "city", "country", "user")
    list_filter = (OfUserFilter,)
    list_select_related = ("user",)
    search_fields = ("user__email__lower",)
    search_help_text = "The user's whole e-mail address, in lower case"
    raw_id_fields = ("user",)
