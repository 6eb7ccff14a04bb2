"""Known devices: a client that has signed in to an account has a signed cookie that says so.

Strangers who guess an account's password use up its limit of sign-ins. The owner's device has its own limit.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import get_random_string

from config.api.access.throttling import hash_text

COOKIE = "device"
SALT = "tenfold.device"
SECONDS = 365 * 24 * 3600
# The key of a request's environ that has the account it has signed in to.
SIGNED_IN = "tenfold.signed_in"


def hash_account(name: str | None) -> str:
    """The key of an account. Its address may be written in any case."""
    return hash_text((name or "").strip().lower())


def note_sign_in(request: HttpRequest | None, user: AbstractBaseUser, **_: Any) -> None:
    """A receiver of user_logged_in."""
    if request is not None:
        request.META[SIGNED_IN] = hash_account(user.get_username())


def remember_device(request: HttpRequest, response: HttpResponseBase) -> None:
    """Set the cookie of a client that has just signed in.

    Only the sign-in gets this cookie, by its path. The cache never answers a request with cookies.
    """
    account = request.META[SIGNED_IN]
    value = f"{account}.{find_device(request, account) or get_random_string(22)}"
    options: Any = {"path": request.path, "secure": settings.HTTPS, "httponly": True, "samesite": "Lax"}
    response.set_signed_cookie(COOKIE, value, salt=SALT, max_age=SECONDS, **options)


def find_device(request: HttpRequest, account: str) -> str | None:
    """The name of a device that has signed in to the account before; None for a new device."""
    value = request.get_signed_cookie(COOKIE, "", salt=SALT, max_age=SECONDS)
    owner, _, name = str(value).partition(".")
    return name if name and owner == account else None
