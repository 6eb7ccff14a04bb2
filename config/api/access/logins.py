"""The limit of sign-ins by password: how many an address may make, and how many may be made to an account.

While Redis is away, nobody can sign in by password, since guessing passwords must not be free.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from config.api.access.devices import find_device, hash_account
from config.api.access.rate_store import Rate, Standing, read_rate, take
from config.api.access.throttling import TooManyRequests, find_address
from config.api.problems.errors import Unavailable

# How many times RATE_LIMIT_LOGIN all strangers together may try one account: ten wrong passwords from anywhere must not
# lock its owner out.
CEILING = 20


class LoginLimit:
    """Counts each sign-in by password: an address at RATE_LIMIT_LOGIN, and an account at CEILING times as many.

    The account's owner isn't counted among strangers: a known device, and a session of the account's, have
    RATE_LIMIT_LOGIN for themselves. It is the first of the AUTHENTICATION_BACKENDS, so it counts those of the API, the
    browsable API and the admin. It signs nobody in. Raises TooManyRequests, or Unavailable if Redis is away.
    """

    @sensitive_variables("credentials")
    def authenticate(self, request: HttpRequest | None, username: str | None = None, **credentials: Any) -> None:
        rate = read_rate(settings.RATE_LIMIT_LOGIN)
        if request is None or rate is None:
            return
        account = hash_account(username)
        if own := find_device(request, account) or find_session(request, account):
            refuse_login(take(rate, "login-device", own), "with this device")
            return
        refuse_login(take(rate, "login-address", find_address(request.META)), "from this address")
        refuse_login(take(raise_rate(rate), "login-account", account), "to this account")


def find_session(request: HttpRequest, account: str) -> str | None:
    """A key for who is signed in to the account, and proves the password once more."""
    users: list[Any] = [getattr(request, "user", None)]
    if hasattr(request, "session"):
        # DRF has put a stranger into `request.user` where a view asks for no credentials.
        users.append(get_user(request))
    names = [user.get_username() for user in users if user is not None and user.is_authenticated]
    return account if account in map(hash_account, names) else None


def raise_rate(rate: Rate) -> Rate:
    return rate._replace(limit=rate.limit * CEILING)


def refuse_login(standing: Standing | None, whose: str) -> None:
    if standing is None:
        raise Unavailable("Redis, which counts sign-ins,")
    if not standing.is_allowed:
        raise TooManyRequests(standing, "sign-ins", whose)
