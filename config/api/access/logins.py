"""The limit of sign-ins by password: how many an address may make, and how many may be made to an account.

While Redis is away, nobody can sign in by password, since guessing passwords must not be free.
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from config.api.access.rate_store import Standing, read_rate, take
from config.api.access.throttling import TooManyRequests, find_address, hash_text
from config.api.problems.errors import Unavailable


class LoginLimit:
    """Counts each sign-in by password, first by its address and then by its account, each at RATE_LIMIT_LOGIN.

    It is the first of the AUTHENTICATION_BACKENDS, so it counts those of the API, the browsable API and the admin. It
    signs nobody in. Raises TooManyRequests, or Unavailable if Redis is away.
    """

    @sensitive_variables("credentials")
    def authenticate(self, request: HttpRequest | None, username: str | None = None, **credentials: Any) -> None:
        rate = read_rate(settings.RATE_LIMIT_LOGIN)
        if request is None or rate is None:
            return
        refuse_login(take(rate, "login-address", find_address(request.META)), "from this address")
        account = hash_text((username or "").strip().lower())
        refuse_login(take(rate, "login-account", account), "to this account")


def refuse_login(standing: Standing | None, whose: str) -> None:
    if standing is None:
        raise Unavailable("Redis, which counts sign-ins,")
    if not standing.is_allowed:
        raise TooManyRequests(standing, "sign-ins", whose)
