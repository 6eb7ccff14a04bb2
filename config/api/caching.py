"""Answers kept under a generation token: what was true before a write is never answered after it.

Each resource has a random token in the cache. A fill reads the tokens before its query and stamps them on the
entry; a hit counts only while they are current. A write moves the token, after its commit, by deleting it: the
next reader sets a new one. Entries are never deleted, they expire.
"""

import secrets
import threading
from collections.abc import Callable, Iterable

from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction
from django_redis.exceptions import ConnectionInterrupted
from django_redis.serializers.base import BaseSerializer
from redis.exceptions import RedisError

# A write by another program (psql) is seen at the latest when the entry expires.
ENTRY_SECONDS = 60

# Tokens whose move Redis didn't take; nothing of theirs is answered from the cache until it does.
_unmoved: set[str] = set()


class _Witness(threading.local):
    """SQLite's data_version as this thread's connection saw it last."""

    version: tuple[int, int] | None = None


_witness = _Witness()


class _Epoch:
    """Part of every stamp; a new one makes the whole in-process cache stale."""

    token = b""

    @classmethod
    def begin(cls) -> None:
        cls.token = secrets.token_hex(8).encode()


class BytesSerializer(BaseSerializer):
    """django-redis' own pickles, and unpickling runs code for whoever can write to Redis."""

    def dumps(self, value: bytes) -> bytes:
        return value

    def loads(self, value: bytes) -> bytes:
        return value


def move_generations(*resources: str) -> None:
    """Make every answer about `resources` stale once the transaction at hand is committed; at once outside one."""
    transaction.on_commit(lambda: _move_now(resources))


def read_generations(resources: Iterable[str]) -> bytes | None:
    """The tokens of `resources` as one stamp; None where the cache can't be trusted and is to be passed by."""
    if settings.CACHE == "off" or not _is_trusted():
        return None
    try:
        _move_now(tuple(_unmoved))
        tokens = [_read_token(resource) for resource in resources]
    except (ConnectionInterrupted, RedisError):
        return None
    return None if _unmoved or None in tokens else b".".join([_Epoch.token, *filter(None, tokens)])


def read_or_fill(key: str, stamp: bytes, fill: Callable[[], bytes | None]) -> tuple[bytes | None, bool]:
    """The entry under `key` if it bears `stamp`, else what `fill` returns (kept, unless it is None); and if it hit."""
    entry = _get(key)
    if entry is not None and entry.startswith(stamp + b"\n"):
        return entry[len(stamp) + 1 :], True
    if (value := fill()) is not None:
        _set(key, stamp + b"\n" + value)
    return value, False


def _is_trusted() -> bool:
    """Whether other processes' writes are known here: through Redis, or on SQLite by its data_version."""
    if settings.REDIS_URL:
        return True
    if connection.vendor != "sqlite":
        return False
    # The number changes when another connection commits. It can't be compared with another connection's, so each
    # remembers its own, and the first look trusts nothing. Our own writes move the tokens themselves.
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA data_version")
        version = (id(connection.connection), cursor.fetchone()[0])
    if _witness.version != version:
        _Epoch.begin()
        _witness.version = version
    return True


def _read_token(resource: str) -> bytes | None:
    key = f"generation:{resource}"
    if (token := cache.get(key)) is None:
        cache.add(key, secrets.token_hex(8).encode(), timeout=None)
        # Whoever added first won; everybody uses that one.
        token = cache.get(key)
    return token


def _move_now(resources: tuple[str, ...]) -> None:
    for resource in resources:
        try:
            cache.delete(f"generation:{resource}")
            _unmoved.discard(resource)
        except (ConnectionInterrupted, RedisError):
            _unmoved.add(resource)


def _get(key: str) -> bytes | None:
    try:
        return cache.get(key)
    except (ConnectionInterrupted, RedisError):
        return None


def _set(key: str, value: bytes) -> None:
    try:
        cache.set(key, value, timeout=ENTRY_SECONDS)
    except (ConnectionInterrupted, RedisError):
        return  # an answer that isn't kept is an answer all the same
