"""The pages for the links in mails. They do the same as `auth/password/reset/confirm/` and `auth/register/confirm/`."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.registrations import confirm, find_registration, refuse_off
from accounts.resets import find_user, reset_password
from config.api.access.logins import count_stranger_sign_in
from config.api.problems.errors import ApiError, InvalidBody


@never_cache
@sensitive_post_parameters()
@require_http_methods(("GET", "HEAD", "POST"))
def show_reset(request: HttpRequest) -> HttpResponse:
    """`?token=…` is the link's token. The form sends it with the new password, `new`."""
    count_stranger_sign_in(request)
    token = (request.POST if request.method == "POST" else request.GET).get("token", "")
    try:
        find_user(token)
    except InvalidBody as error:
        return show(request, RESET, error)
    try:
        if request.method == "POST":
            reset_password(token, request.POST.get("new", ""))
            return show(request, RESET, is_done=True)
    except InvalidBody as error:
        return show(request, RESET, error, token=token)
    return show(request, RESET, token=token)


@never_cache
@sensitive_post_parameters()
@require_http_methods(("GET", "HEAD", "POST"))
def show_confirmation(request: HttpRequest) -> HttpResponse:
    """`?token=…` is the link's token. The form sends it with the password of the registration, `password`."""
    count_stranger_sign_in(request)
    token = (request.POST if request.method == "POST" else request.GET).get("token", "")
    try:
        refuse_off()
        find_registration(token)
    except ApiError as error:
        return show(request, CONFIRMATION, error)
    try:
        if request.method == "POST":
            confirm(token, request.POST.get("password", ""))
            return show(request, CONFIRMATION, is_done=True)
    except ApiError as error:
        return show(request, CONFIRMATION, error, token=token)
    return show(request, CONFIRMATION, token=token)


RESET, CONFIRMATION = "accounts/new_password.html", "accounts/confirmation.html"


def show(request: HttpRequest, template: str, error: ApiError | None = None, **context: Any) -> HttpResponse:
    errors = [fault.detail for fault in error.faults] or [str(error.detail)] if error else []
    status = error.status_code if error else HTTPStatus.OK
    return render(request, template, {"errors": errors, **context}, status=status)
