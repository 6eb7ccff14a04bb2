"""The page for the link in a mail. It asks for a new password and does the same as `auth/password/reset/confirm/`."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.resets import find_user, reset_password
from config.api.access.logins import count_stranger_sign_in
from config.api.problems.errors import InvalidBody


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
        return show(request, error)
    try:
        if request.method == "POST":
            reset_password(token, request.POST.get("new", ""))
            return show(request, is_done=True)
    except InvalidBody as error:
        return show(request, error, token=token)
    return show(request, token=token)


def show(request: HttpRequest, error: InvalidBody | None = None, **context: Any) -> HttpResponse:
    errors = [fault.detail for fault in error.faults] if error else []
    status = HTTPStatus.BAD_REQUEST if error else HTTPStatus.OK
    return render(request, "accounts/new_password.html", {"errors": errors, **context}, status=status)
