"""The answers that all processes keep together, in Redis; while Redis is away there are none, and nothing else changes.

It is never asked whether an answer is fresh: each carries its stamp, and the change log decides. So Redis may lose
everything, come back with what it held a week ago, or be cut off from one process alone. A failure opens the breaker,
and a thread of its own finds out when Redis is back, so that no request waits for that.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from django.conf import settings
from django_redis import get_redis_connection
from django_redis.serializers.base import BaseSerializer
from redis.exceptions import ConnectionError, RedisError, TimeoutError  # noqa: A004 (Redis' own, of those names)

from config.api.breaker import Breaker
from config.api.entries import Entry

logger = logging.getLogger("tenfold.cache")

# Stale ones are never asked for again, so they must go by themselves.
ENTRY_SECONDS = 3600
# A filler that dies leaves its claim behind for so long.
CLAIM_MS = 1000
# Whose code makes answers; 1 MB, read once a process in some milliseconds.
PACKAGES = ("config", "catalog", "accounts")


BREAKER = Breaker(1, "the cache does without it")


class BytesSerializer(BaseSerializer):
    """django-redis' own pickles, and unpickling runs code for whoever can write to Redis."""

    def dumps(self, value: bytes) -> bytes:
        return value

    def loads(self, value: bytes) -> bytes:
        return value


def ask[Answer](question: Callable[[Any], Answer], otherwise: Answer) -> Answer:
    """What Redis answers, or `otherwise` where there is none or it doesn't."""
    if not settings.REDIS_URL or BREAKER.is_open:
        return otherwise
    try:
        return question(get_redis_connection("default"))
    except (ConnectionError, TimeoutError) as error:
        BREAKER.note_failure(error)
    except RedisError as error:  # full, or loading: it answered
        logger.warning("Redis refuses the cache: %s", error)
    return otherwise


@cache
def find_release() -> str:
    """Of the code that answers: what one release has kept isn't what the next one, started beside it, would say."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(path for package in PACKAGES for path in (settings.BASE_DIR / package).rglob("*.py")):
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()}-{settings.CURRENCY}"


def name_key(epoch: str, key: object, coding: str) -> str:
    """Epoch and all, so that two databases may share one Redis."""
    text = repr((find_release(), epoch, key))
    return f"tenfold:answer:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}:{coding}"


def find(epoch: str, key: object, codings: Sequence[str]) -> list[Entry]:
    """What is kept of `codings`, in one trip."""
    names = [name_key(epoch, key, coding) for coding in codings]
    found: list[bytes | None] = ask(lambda redis: redis.mget(names), [])
    return [entry for packed in found if packed is not None and (entry := unpack(packed))]


def unpack(packed: bytes) -> Entry | None:
    try:
        return Entry.unpack(packed)
    except (ValueError, TypeError):  # of another version of Tenfold
        return None


def keep(key: object, entry: Entry, is_claimed: bool = False) -> None:
    def write(redis: Any) -> None:
        pipe = redis.pipeline(transaction=False)
        pipe.set(name_key(entry.stamp.epoch, key, entry.coding), entry.pack(), ex=ENTRY_SECONDS)
        if is_claimed:
            pipe.delete(name_key(entry.stamp.epoch, key, "claim"))
        pipe.execute()

    ask(write, None)


def claim(epoch: str, key: object) -> bool:
    """Whether this process may fill; also where there is nobody to ask."""
    return bool(ask(lambda redis: redis.set(name_key(epoch, key, "claim"), b"1", nx=True, px=CLAIM_MS), otherwise=True))


def give_up(epoch: str, key: object) -> None:
    """A claim that came to nothing."""
    ask(lambda redis: redis.delete(name_key(epoch, key, "claim")), 0)
