"""The entries that all processes share, in Redis. While Redis doesn't answer there are none, and requests still work.

Redis never decides whether an entry is current: each entry has a stamp, which is compared with the change log. So
Redis may lose everything, come back with old entries, or be unreachable from one process only. A failure opens the
breaker. A separate thread finds out when Redis answers again, so no request waits for it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.cache import caches
from django_redis.client import DefaultClient
from redis.exceptions import ConnectionError, RedisError, TimeoutError  # noqa: A004 (Redis' own, of those names)

from config.api.access.breaker import Breaker
from config.api.gates.entries import Entry

logger = logging.getLogger("tenfold.cache")

# Seconds. Nothing deletes stale entries, so they must expire.
ENTRY_SECONDS = 3600
# Seconds. A claim expires after this time if the process that holds it dies.
CLAIM_SECONDS = 1

BREAKER = Breaker(1, "the cache does without it")


class BytesClient(DefaultClient):
    """A client for django-redis' cache that stores bytes as they are.

    The package's own client pickles, and unpickling runs code for anybody who can write to Redis. Two answers (33 kB
    and 6 kB) by `get_many` take 62 microseconds of CPU and by redis-py's MGET itself 58. With a serializer they take
    72, since it tries each value as a number first (rounds in turn).
    """

    def encode(self, value: bytes, *, allow_int: bool = True) -> bytes:
        return value

    def decode(self, value: bytes) -> bytes:
        return value


def ask[T](question: Callable[[Any], T], otherwise: T) -> T:
    """The result of `question(cache)`, with Django's cache on Redis; `otherwise` if Redis is missing or fails."""
    if not settings.REDIS_URL or BREAKER.is_open:
        return otherwise
    try:
        return question(caches["default"])
    except (ConnectionError, TimeoutError) as error:
        BREAKER.note_failure(error)
    except RedisError as error:  # full, or loading: it answered
        logger.warning("Redis refuses the cache: %s", error)
    return otherwise


@cache
def find_release() -> str:
    """A digest of the code of all apps, so that two releases that run side by side don't share entries.

    The settings that answers depend on are part of it.

    Each process reads the code once: 1 MB in a few milliseconds.
    """
    digest = hashlib.blake2b(digest_size=16)
    packages = {app.name.partition(".")[0] for app in apps.get_app_configs()}
    for path in sorted(path for package in packages for path in (settings.BASE_DIR / package).rglob("*.py")):
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()}-{settings.CURRENCY}-{settings.CORS}-{settings.CACHE_S_MAXAGE}"


def name_key(epoch: str, key: object, coding: str) -> str:
    """The name in Redis of an entry or a claim. It holds the epoch, so two databases may share one Redis."""
    text = repr((find_release(), epoch, key))
    return f"answer:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}:{coding}"


def find(epoch: str, key: object, codings: Sequence[str]) -> list[Entry]:
    """The entries of a cache key that Redis holds in one of `codings`, fetched in one round trip."""
    names = [name_key(epoch, key, coding) for coding in codings]
    found: dict[str, bytes] = ask(lambda kept: kept.get_many(names), {})
    return [entry for name in names if name in found and (entry := unpack(found[name]))]


def unpack(packed: bytes) -> Entry | None:
    try:
        return Entry.unpack(packed)
    except (ValueError, TypeError):  # written by another version of Tenfold
        return None


def keep(key: object, entry: Entry, is_claimed: bool = False) -> None:
    def write(kept: Any) -> None:
        # One round trip for both; two would take 10 % longer.
        pipe = kept.client.get_client().pipeline(transaction=False)
        kept.set(name_key(entry.stamp.epoch, key, entry.coding), entry.pack(), ENTRY_SECONDS, client=pipe)
        if is_claimed:
            kept.delete(name_key(entry.stamp.epoch, key, "claim"), client=pipe)
        pipe.execute()

    ask(write, None)


def claim(epoch: str, key: object) -> bool:
    """Whether this process may fill the key; true as well if Redis doesn't answer."""
    # SET NX: one process of all gets the claim.
    return ask(lambda kept: bool(kept.add(name_key(epoch, key, "claim"), b"1", CLAIM_SECONDS)), otherwise=True)


def give_up(epoch: str, key: object) -> None:
    """Delete the claim of a process whose answer can't be cached."""
    ask(lambda kept: kept.delete(name_key(epoch, key, "claim")), otherwise=False)
