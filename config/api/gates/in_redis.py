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

from django.apps import apps
from django.conf import settings
from django.core.cache import caches
from django_redis.client import DefaultClient
from redis.exceptions import ConnectionError, RedisError, TimeoutError  # noqa: A004 (Redis' own, of those names)

from config.api.access.breaker import Breaker
from config.api.gates.entries import Entry

logger = logging.getLogger("tenfold.cache")

# Stale ones are never asked for again, so they must go by themselves.
ENTRY_SECONDS = 3600
# A filler that dies leaves its claim behind for so long.
CLAIM_SECONDS = 1

BREAKER = Breaker(1, "the cache does without it")


class BytesClient(DefaultClient):
    """Of django-redis' cache; values are bytes and stay as they are.

    Its own pickles, and unpickling runs code for whoever can write to Redis. Two answers by `get_many` take 62
    microseconds of CPU, by redis-py's MGET itself 58, and 72 where a serializer is asked, since each value is first
    tried as a number (rounds in turn, 33 kB and 6 kB).
    """

    def encode(self, value: bytes, *, allow_int: bool = True) -> bytes:
        return value

    def decode(self, value: bytes) -> bytes:
        return value


def ask[Answer](question: Callable[[Any], Answer], otherwise: Answer) -> Answer:
    """What Django's cache on Redis answers, or `otherwise` where there is no Redis or it doesn't answer."""
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
    """Of the code that answers: what one release has kept isn't what the next one, started beside it, would say.

    Of every app beside manage.py; 1 MB, read once a process in some milliseconds.
    """
    digest = hashlib.blake2b(digest_size=16)
    packages = {app.name.partition(".")[0] for app in apps.get_app_configs()}
    for path in sorted(path for package in packages for path in (settings.BASE_DIR / package).rglob("*.py")):
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()}-{settings.CURRENCY}"


def name_key(epoch: str, key: object, coding: str) -> str:
    """Epoch and all, so that two databases may share one Redis."""
    text = repr((find_release(), epoch, key))
    return f"answer:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}:{coding}"


def find(epoch: str, key: object, codings: Sequence[str]) -> list[Entry]:
    """What is kept of `codings`, in one trip."""
    names = [name_key(epoch, key, coding) for coding in codings]
    found: dict[str, bytes] = ask(lambda kept: kept.get_many(names), {})
    return [entry for name in names if name in found and (entry := unpack(found[name]))]


def unpack(packed: bytes) -> Entry | None:
    try:
        return Entry.unpack(packed)
    except (ValueError, TypeError):  # of another version of Tenfold
        return None


def keep(key: object, entry: Entry, is_claimed: bool = False) -> None:
    def write(kept: Any) -> None:
        # One trip for both: two would take a tenth longer.
        pipe = kept.client.get_client().pipeline(transaction=False)
        kept.set(name_key(entry.stamp.epoch, key, entry.coding), entry.pack(), ENTRY_SECONDS, client=pipe)
        if is_claimed:
            kept.delete(name_key(entry.stamp.epoch, key, "claim"), client=pipe)
        pipe.execute()

    ask(write, None)


def claim(epoch: str, key: object) -> bool:
    """Whether this process may fill; also where there is nobody to ask."""
    # SET NX: of all processes one is told so.
    return ask(lambda kept: bool(kept.add(name_key(epoch, key, "claim"), b"1", CLAIM_SECONDS)), otherwise=True)


def give_up(epoch: str, key: object) -> None:
    """A claim that came to nothing."""
    ask(lambda kept: kept.delete(name_key(epoch, key, "claim")), otherwise=False)
