"""Counts requests and sign-ins: a rate and a key in, what is left of the rate out.

A sliding window counts them, atomically: in Redis for all processes, or in each process if there is no Redis.
"""

from functools import cache, lru_cache
from math import ceil, floor
from threading import Lock
from typing import Any, NamedTuple

from django.conf import settings
from django_redis import get_redis_connection
from limits import parse
from limits.storage import MemoryStorage, RedisStorage
from redis.exceptions import NoScriptError, RedisError

from config.api.access.breaker import Breaker

# The requests in the previous window, the seconds until it has slid out, and the same for the current window.
type Window = tuple[int, float, int, float]

# Three failures, since one may only mean a busy machine: a flood of requests must not switch the limits off.
BREAKER = Breaker(3, "requests aren't limited")


class Rate(NamedTuple):
    """`3000/minute` is Rate(limit=3000, seconds=60, period="minute")."""

    limit: int
    seconds: int
    period: str


@lru_cache
def read_rate(text: str) -> Rate | None:
    """The rate that a setting holds; None for `off`. The text was checked when the process started."""
    if text == "off":
        return None
    item = parse(text)
    return Rate(item.amount, item.get_expiry(), item.GRANULARITY.name)


class Standing(NamedTuple):
    """What is left of a rate after a request. `remaining` is a number of requests.

    `reset` is the whole seconds until the window ends, `wait` those until one more request may pass.
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
    # The previous window counts less as it slides out. If the current window alone is full, it must end first.
    shrinks = before and now < rate.limit
    wait = before_ttl - (rate.limit - now) * rate.seconds / before if shrinks else now_ttl - rate.seconds
    return max(0, floor(wait)) + 1


class InProcess(MemoryStorage):
    """Counts in this process; `limits` starts a thread with the first instance."""

    def take(self, key: str, limit: int, seconds: int) -> tuple[bool, Window]:
        return self.acquire_sliding_window_entry(key, limit, seconds), self.get_sliding_window(key, seconds)


class InRedis(RedisStorage):
    """Counts in Redis, with two scripts of `limits` in one round trip: 100 microseconds; two trips would take 160."""

    def __init__(self) -> None:
        # The cache's connection pool, for its time-outs.
        pool = get_redis_connection("default").connection_pool
        super().__init__(settings.REDIS_URL, connection_pool=pool, key_prefix="tenfold:rate")

    def take(self, key: str, limit: int, seconds: int) -> tuple[bool, Window]:
        keys = [self.prefixed_key(self._previous_window_key(key)), self.prefixed_key(self._current_window_key(key))]
        try:
            taken, window = self.run_scripts(keys, limit, seconds)
        except NoScriptError:
            # Redis is new or was restarted, and has no scripts. The script that counts comes last: another thread
            # that finds it, but not the other one, would try again and count its request twice.
            self.storage.script_load(self.SCRIPT_SLIDING_WINDOW)
            self.storage.script_load(self.SCRIPT_ACQUIRE_SLIDING_WINDOW)
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
    """The process's storage, made at the first request: its thread and connections wouldn't survive a fork."""
    # With functools.cache alone, the first threads would make one each: 1,500 requests passed a limit of 1,000.
    with _opening:
        return _open_storage()


def take(rate: Rate, kind: str, who: object) -> Standing | None:
    """Count one request: `who` is the address or the primary key of the `kind` of caller. None if Redis is away."""
    if BREAKER.is_open:
        return None
    try:
        taken, window = open_storage().take(f"{kind}:{who}:{rate.limit}/{rate.period}", rate.limit, rate.seconds)
    except RedisError as error:
        BREAKER.note_failure(error)
        return None
    BREAKER.note_success()
    return Standing.find(taken, rate, window)
