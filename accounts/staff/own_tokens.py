"""Tokens for oneself: a form in, a new token out, whose secret this one page shows. Own tokens can be revoked here."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.models import MARK_LENGTH, AuthToken
from accounts.serializers import TokenWrite
from accounts.tokens import GREATEST_LIFETIME, TOKEN_LIFETIME, issue_token, revoke
from config.api.access.scopes import SCOPES
from config.api.problems.error_handler import find_faults
from config.api.problems.errors import ApiError

PAGE = "admin:accounts_authtoken_mine"
# The fields of the API's body, by those of the form.
FIELDS = {"name": "name", "scopes": "scopes", "allowed_ips": "networks", "expires_at": "days"}


class TokenForm(forms.Form):
    """The API's own rules check it; see TokenWrite."""

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget, help_text="Which program will use it.")
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What it may use. None: all that you may do.",
    )
    networks = forms.CharField(
        required=False,
        max_length=3_000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Addresses or networks that it may come from, as 192.0.2.0/24, a line for each. None: from anywhere.",
    )
    days = forms.IntegerField(
        label="Days",
        initial=TOKEN_LIFETIME.days,
        min_value=1,
        max_value=GREATEST_LIFETIME.days,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="After so many days it ends.",
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors:
            self.check(values)
        return values

    def check(self, values: dict[str, Any]) -> None:
        body = TokenWrite(data=build_body(values))
        if not body.is_valid():
            for fault in find_faults(body.errors):
                self.add_error(FIELDS.get(fault.pointer.split("/")[1], "name"), fault.detail)
        else:
            values["token"] = body.validated_data


def build_body(values: dict[str, Any]) -> dict[str, Any]:
    """The body that makes the same token over the API. A list that is empty is left out."""
    # A minute less than the days, since the rule measures a year from its own moment.
    ends_at = timezone.now() + timedelta(days=values["days"]) - timedelta(minutes=1)
    lists = {"scopes": values["scopes"], "allowed_ips": values["networks"].split()}
    return {"name": values["name"], "expires_at": ends_at} | {name: items for name, items in lists.items() if items}


def show_own_tokens(request: HttpRequest) -> HttpResponse:
    """GET shows the form and the user's tokens; POST makes a token, or revokes one (`revoke`)."""
    if request.method == "POST" and "revoke" in request.POST:
        return revoke_own(request)
    form = TokenForm(request.POST if request.method == "POST" else None)
    secret = make(request, form) if form.is_bound and form.is_valid() else ""
    user: Any = request.user
    context = {
        **admin.site.each_context(request), "title": "Your tokens", "form": form, "secret": secret,
        "tokens": AuthToken.objects.filter(user=user).valid().order_by("-created", "digest"), "now": timezone.now(),
    }  # fmt: skip
    return TemplateResponse(request, "admin/own_tokens.html", context)


def make(request: HttpRequest, form: TokenForm) -> str:
    """The new token's secret; "" with an error in the form if the user has too many."""
    user: Any = request.user
    try:
        _, secret = issue_token(user, **form.cleaned_data["token"], created_by="session")
    except ApiError as error:
        form.add_error(None, f"{error.detail} {error.hint}".strip())
        return ""
    return secret


def revoke_own(request: HttpRequest) -> HttpResponse:
    mark, user = request.POST["revoke"], request.user
    if len(mark) == MARK_LENGTH:
        number = revoke(AuthToken.objects.filter(user=user, digest__startswith=mark))
        messages.success(request, f"{number} {'token' if number == 1 else 'tokens'} revoked.")
    return HttpResponseRedirect(reverse(PAGE))
