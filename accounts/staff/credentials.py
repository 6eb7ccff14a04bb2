"""How users sign in: registrations, tokens without their secrets, sessions, the sign-in log."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.sessions.models import Session
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import checkbox
from unfold.decorators import display

from accounts.models import AuthToken, SessionOwner
from accounts.staff.filters import ExpiryFilter, OfUserFilter
from accounts.staff.own_tokens import show_own_tokens
from accounts.tokens import revoke
from config.api.admin.lists import BoundedAdmin, ReadOnlyAdmin


class AuthTokenAdmin(ReadOnlyAdmin):
    """Tokens: a list, and an action that revokes them. Users make tokens for themselves, on a page of their own.

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

    def get_urls(self) -> list[URLPattern]:
        mine = path("mine/", self.admin_site.admin_view(show_own_tokens), name="accounts_authtoken_mine")
        return [mine, *super().get_urls()]

    @admin.display(description="prefix")
    def prefix(self, token: AuthToken) -> str:
        return f"{token.token_key[:6]}…"

    @admin.display(description="may")
    def may(self, token: AuthToken) -> str:
        places = f" from {', '.join(token.allowed_ips)}" if token.allowed_ips else ""
        return f"{', '.join(token.scopes) or 'everything'}{places}"

    @display(description="state", label={"valid": "success", "expired": "danger"})  # type: ignore[untyped-decorator]  # unfold has no types
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


class RegistrationAdmin(ReadOnlyAdmin):
    """Registrations whose address isn't confirmed yet, without their passwords."""

    icon = "how_to_reg"
    exclude = ("password",)
    list_display = ("email", "first_name", "last_name", "created_at")
    list_filter = ("created_at",)
    ordering = ("-created_at", "-id")
    search_fields = ("email__lower",)
    search_help_text = "The whole e-mail address, in lower case"


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


class EventAdmin(ReadOnlyAdmin):
    """The sign-in log. The server alone writes it."""

    icon = "passkey"
    list_display = ("at", "kind", "user", "actor", "address", "detail", "user_agent")
    list_display_links = None
    list_filter = ("kind", OfUserFilter)
    list_select_related = ("user", "actor")
    search_fields = ("user__email__lower", "address__exact")
    search_help_text = "The user's whole e-mail address, in lower case, or the network address"
