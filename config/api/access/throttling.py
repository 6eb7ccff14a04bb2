"""Rate limits: how many requests a token, an address or a sign-in may make before it gets a 429.

A sliding window counts them, atomically: in Redis for all processes, or in each process if there is no Redis. While
Redis is away, requests aren't limited, and nobody can sign in, since guessing passwords must not be free.
"""

import hashlib
import ipaddress
import logging
from functools import cache, lru_cache
from http import HTTPStatus
from math import ceil, floor
from threading import Lock
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables
from django_redis import get_redis_connection
from limits import parse
from limits.storage import MemoryStorage, RedisStorage
from redis.exceptions import NoScriptError, RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from config.api.access.breaker import Breaker
from config.api.problems.errors import ApiError, Unavailable

logger = logging.getLogger("tenfold.throttling")

# The requests in the former window, the seconds until it has slid out, and both again for the present window.
type Window = tuple[int, float, int, float]

# A request's WSGI environ, which is Django's META, too.
type Environ = dict[str, Any]

# A single failure may only mean that the machine is busy; a flood must not switch the limits off by causing one.
BREAKER = Breaker(3, "requests aren't limited")


class Rate(NamedTuple):
    """`3000/minute` is `limit` requests in `seconds`; `period` is the word."""

    limit: int
    seconds: int
    period: str


@lru_cache
def read_rate(text: str) -> Rate | None:
    """The rate in a setting, which was checked at the start; None for `off`."""
    if text == "off":
        return None
    item = parse(text)
    return Rate(item.amount, item.get_expiry(), item.GRANULARITY.name)


class TooManyRequests(ApiError):
    """More requests than the token, the address or the sign-in may make; `Retry-After` says when to go on."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS
    default_code = "too_many_requests"

    def __init__(self, standing: "Standing", what: str, whose: str) -> None:
        rate, self.wait = standing.rate, standing.wait
        article = "an" if rate.period == "hour" else "a"
        detail = f"More than {rate.limit} {what} {article} {rate.period} {whose}."
        super().__init__(detail, f"Try again in {self.wait} seconds.")


class Standing(NamedTuple):
    """What is left of a rate after a request.

    `reset` and `wait` are whole seconds: until the window ends, and until one more request may pass.
    """

    is_allowed: bool
    rate: Rate
    remaining: int
    reset: int
    wait: int

    @classmethod
    def find(cls, is_allowed: bool, rate: Rate, window: Window) -> "Standing":
        before, before_ttl, now, now_ttl = window
        limit, seconds = rate.limit, rate.seconds
        remaining = limit - now - floor(before * before_ttl / seconds)
        reset = ceil(now_ttl - seconds)
        return cls(is_allowed, rate, max(0, remaining), max(1, reset), 0 if is_allowed else find_wait(rate, window))

    @property
    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.rate.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


def find_wait(rate: Rate, window: Window) -> int:
    """Whole seconds until one more request may pass."""
    before, before_ttl, now, now_ttl = window
    # The former window counts less as it slides out. If the present window alone is full, it must end first.
    shrinks = before and now < rate.limit
    wait = before_ttl - (rate.limit - now) * rate.seconds / before if shrinks else now_ttl - rate.seconds
    return max(0, floor(wait)) + 1


# -- where it is counted -----------------------------------------------------------------------------------------


class InProcess(MemoryStorage):
    """Counts in this process; `limits` starts a thread with the first instance."""

    def take(self, key: str, limit: int, seconds: int) -> tuple[bool, Window]:
        return self.acquire_sliding_window_entry(key, limit, seconds), self.get_sliding_window(key, seconds)


class InRedis(RedisStorage):
    """Counts in Redis by two scripts of `limits` in one round trip: 100 microseconds, where two trips take 160."""

    def __init__(self) -> None:
        # The cache's connection pool, for its time-outs.
        pool = get_redis_connection("default").connection_pool
        super().__init__(settings.REDIS_URL, connection_pool=pool, key_prefix="tenfold:rate")

    def take(self, key: str, limit: int, seconds: int) -> tuple[bool, Window]:
        keys = [self.prefixed_key(self._previous_window_key(key)), self.prefixed_key(self._current_window_key(key))]
        try:
            taken, window = self.run_scripts(keys, limit, seconds)
        except NoScriptError:
            # Redis is new or was restarted, and has no scripts.
            self.storage.script_load(self.SCRIPT_ACQUIRE_SLIDING_WINDOW)
            self.storage.script_load(self.SCRIPT_SLIDING_WINDOW)
            taken, window = self.run_scripts(keys, limit, seconds)
        before, before_ms, now, now_ms = (max(0, int(number or 0)) for number in window)
        return bool(taken), (before, before_ms / 1000, now, now_ms / 1000)

    def run_scripts(self, keys: list[str], limit: int, seconds: int) -> list[Any]:
        pipe = self.storage.pipeline(transaction=False)
        pipe.evalsha(self.lua_acquire_sliding_window.sha, 2, *keys, limit, seconds, 1)
        pipe.evalsha(self.lua_sliding_window.sha, 2, *keys, seconds)
        return pipe.execute()


_opening = Lock()


@cache
def _open_storage() -> InProcess | InRedis:
    return InRedis() if settings.REDIS_URL else InProcess()


def open_storage() -> InProcess | InRedis:
    """The process's storage, made at the first request: a fork would lose its thread and its connections."""
    # With functools.cache alone the first threads make one each: 1,500 requests passed a limit of 1,000.
    with _opening:
        return _open_storage()


def take(rate: Rate, kind: str, who: object) -> Standing | None:
    """Count one request of `who`; None if Redis is away."""
    if BREAKER.is_open:
        return None
    try:
        taken, window = open_storage().take(f"{kind}:{who}:{rate.limit}/{rate.period}", rate.limit, rate.seconds)
    except RedisError as error:
        BREAKER.note_failure(error)
        return None
    BREAKER.note_success()
    return Standing.find(taken, rate, window)


# -- who is counted ----------------------------------------------------------------------------------------------


def find_client(environ: Environ) -> str:
    """The client's address; of `X-Forwarded-For` only the part counts that TRUSTED_PROXIES proxies have written."""
    proxies = settings.TRUSTED_PROXIES
    hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if proxies else []
    # Each proxy appends the address that it heard from; a client may have invented everything before.
    return hops[-proxies].strip() if 0 < proxies <= len(hops) else str(environ.get("REMOTE_ADDR", ""))


def find_address(environ: Environ) -> str:
    """The key that counts a client's address: the address, or for IPv6 its network."""
    address = find_client(environ)
    return find_network(address) if ":" in address else address


def find_network(address: str) -> str:
    """The /64 network of an IPv6 address: a client that has one of its addresses has all of them."""
    try:
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    except ValueError:
        return hash_text(address)


def hash_text(text: str) -> str:
    """A key of fixed length, from which a reader of Redis can't tell the text."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


# Where the environ holds the request's Standing: the request is counted once, and the answer's headers show it.
STANDING = "tenfold.standing"


def find_standing(environ: Environ) -> Standing | None:
    """The standing of a request that was counted; None for another one."""
    return environ.get(STANDING)


def find_rate_headers(environ: Environ) -> dict[str, str]:
    """What an answer says of its caller's rate; nothing where the request wasn't counted."""
    standing = find_standing(environ)
    return standing.headers if standing else {}


def count_stranger(environ: Environ) -> Standing | None:
    """Count a request without credentials by its address; None if the rate is off or Redis is away."""
    if STANDING not in environ:
        rate = read_rate(settings.RATE_LIMIT_ANON)
        environ[STANDING] = rate and take(rate, "address", find_address(environ))
    return find_standing(environ)


def count_caller(request: Request) -> Standing | None:
    """Count a request by its token, or a session's request by its user."""
    rate, token = read_rate(settings.RATE_LIMIT_TOKEN), getattr(request.auth, "pk", None)
    kind, who = ("user", request.user.pk) if token is None else ("token", token)
    environ = request._request.META
    environ[STANDING] = rate and take(rate, kind, who)
    return find_standing(environ)


class RateLimit(BaseThrottle):
    """Limits each request by its token, else by its address; the plan gate counts the requests that it answers."""

    def allow_request(self, request: Request, view: Any) -> bool:
        is_stranger = not request.user.is_authenticated
        standing = count_stranger(request._request.META) if is_stranger else count_caller(request)
        if standing and not standing.is_allowed:
            raise TooManyRequests(standing, "requests", "from this address" if is_stranger else "with this token")
        return True


class LoginLimit:
    """The first of the AUTHENTICATION_BACKENDS: it signs nobody in, and counts each sign-in by password.

    The API, the browsable API and the admin all count: by address, then by account, each at RATE_LIMIT_LOGIN.
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
