"""Limits sign-ins by password, for each address and for each account.

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

# All unknown devices together may try an account CEILING times as often as RATE_LIMIT_LOGIN says: ten wrong passwords
# must not lock the owner out.
CEILING = 20
# The most mails to one mailbox. Further requests get the same answer, but no mail is sent.
MAILS = Rate(5, 3600, "hour")


class LoginLimit:
    """Counts each sign-in by password. An address may make RATE_LIMIT_LOGIN, an account may get CEILING times as many.

    A known device of the account, and a session of it, have RATE_LIMIT_LOGIN for themselves. It is the first of the
    AUTHENTICATION_BACKENDS, so it counts sign-ins to the API, the browsable API and the admin. It authenticates nobody.
    Raises TooManyRequests, or Unavailable if Redis is away.
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
    """The limit's key if the user is signed in to the account already and only confirms the password; else None."""
    users: list[Any] = [getattr(request, "user", None)]
    if hasattr(request, "session"):
        # On a view without authentication DRF has put AnonymousUser into `request.user`.
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


def count_stranger_sign_in(request: HttpRequest) -> None:
    """Count a request that may be a guess at a secret, by its IP address. TooManyRequests above RATE_LIMIT_LOGIN."""
    if rate := read_rate(settings.RATE_LIMIT_LOGIN):
        refuse_login(take(rate, "login-address", find_address(request.META)), "from this address")


def count_mail(request: HttpRequest, email: str) -> bool:
    """Count a request for a mail. Returns whether the mailbox may get one more mail (MAILS).

    Raises TooManyRequests if the IP address has made more requests than RATE_LIMIT_LOGIN.
    """
    count_stranger_sign_in(request)
    if not read_rate(settings.RATE_LIMIT_LOGIN):
        return True
    standing = take(MAILS, "mail-account", hash_account(email))
    if standing is None:
        raise Unavailable("Redis, which counts mails,")
    return standing.is_allowed
