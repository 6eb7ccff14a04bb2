"""Rate limits: a token or an address that makes more requests than its rate gets a 429.

While Redis is away, requests aren't limited.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from config.api.access.rate_store import Standing, read_rate, take
from config.api.problems.errors import ApiError

if TYPE_CHECKING:
    # APIView itself imports this module, by the settings.
    from rest_framework.views import APIView

# A request's WSGI environ, which is Django's META, too.
type Environ = dict[str, Any]

# An address that isn't bare: with a port, or of IPv4 as a socket for both kinds of addresses writes it.
WRITTEN = re.compile(r"\[?(?:::ffff:)?([\d.]+)\]?(?::\d+)?|\[(.+)\](?::\d+)?", re.IGNORECASE)

# The key of a request's environ that has its Standing: a request is counted once, and the answer's headers show it.
STANDING = "tenfold.standing"


class TooManyRequests(ApiError):
    """Too many requests of the token or the address, or too many sign-ins. `Retry-After` says when to try again."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS
    default_code = "too_many_requests"

    def __init__(self, standing: Standing, what: str, whose: str) -> None:
        rate, self.wait = standing.rate, standing.wait
        article = "an" if rate.period == "hour" else "a"
        detail = f"More than {rate.limit} {what} {article} {rate.period} {whose}."
        super().__init__(detail, f"Try again in {self.wait} seconds.")


def find_client(environ: Environ) -> str:
    """The client's address. Of `X-Forwarded-For` only the entries of the TRUSTED_PROXIES proxies are used."""
    proxies = settings.TRUSTED_PROXIES
    hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if proxies else []
    # Each proxy appends its client's address. A client may have invented all earlier entries.
    told = hops[-proxies].strip() if 0 < proxies <= len(hops) else ""
    return strip_address(told or str(environ.get("REMOTE_ADDR", "")))


def strip_address(text: str) -> str:
    """The address alone: a port differs with each connection, and `::ffff:192.0.2.1` is `192.0.2.1`."""
    found = WRITTEN.fullmatch(text) if ":" in text else None
    return (found[1] or found[2]) if found else text


def find_address(environ: Environ) -> str:
    """The key by which an address is counted: the address, or for IPv6 its network."""
    address = find_client(environ)
    return find_network(address) if ":" in address else address


def find_network(address: str) -> str:
    """The /64 network of an IPv6 address: a client with one address has all addresses of its network."""
    try:
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    except ValueError:
        return hash_text(address)


def hash_text(text: str) -> str:
    """A key of fixed length. A reader of Redis can't get the text from it."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def find_standing(environ: Environ) -> Standing | None:
    """The request's standing; None if it wasn't counted."""
    return environ.get(STANDING)


def find_rate_headers(environ: Environ) -> dict[str, str]:
    """The request's `RateLimit-` headers; empty if it wasn't counted."""
    standing = find_standing(environ)
    return standing.headers if standing else {}


def count_stranger(environ: Environ) -> Standing | None:
    """Count a request without credentials by its address; None if the rate is off or Redis is away."""
    if STANDING not in environ:
        rate = read_rate(settings.RATE_LIMIT_ANON)
        environ[STANDING] = rate and take(rate, "address", find_address(environ))
    return find_standing(environ)


def limit_stranger(environ: Environ) -> None:
    """Raise TooManyRequests if the address has made more requests than its rate, with this one."""
    refuse_above(count_stranger(environ), "from this address")


def refuse_above(standing: Standing | None, whose: str) -> None:
    if standing and not standing.is_allowed:
        raise TooManyRequests(standing, "requests", whose)


def count_caller(request: Request) -> Standing | None:
    """Count a request by its token, or a session's request by its user; None if the rate is off or Redis is away."""
    rate, token = read_rate(settings.RATE_LIMIT_TOKEN), getattr(request.auth, "pk", None)
    kind, who = ("user", request.user.pk) if token is None else ("token", token)
    environ = request._request.META
    environ[STANDING] = rate and take(rate, kind, who)
    return find_standing(environ)


class RateLimit(BaseThrottle):
    """Counts each request by its token, or by its address if it has none. Raises TooManyRequests above the rate.

    DRF calls it for each request that reaches a view. The plan gate counts the requests that it answers itself.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        if request.user.is_authenticated:
            refuse_above(count_caller(request), "with this token")
        else:
            limit_stranger(request._request.META)
        return True
