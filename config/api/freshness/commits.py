"""Delays the answer to a write until no process trusts an older state of the change log.

After a commit every process reads the change log again within CACHE_LEASE_MS. So a request that has written waits as
long before its answer is sent, once, at its end.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from config.api.freshness.leases import FRESHNESS

# Finds the table that a statement writes. A statement that begins with WITH may write any table.
TARGET = re.compile(
    r'\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?|MERGE\s+INTO|COPY)\s+(?:ONLY\s+)?"?(\w+)', re.I
)
WRITING = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE)\b", re.I)


class Writes:
    """When a request last committed a write to a watched table, in seconds of the monotonic clock; 0 if never."""

    committed_at = 0.0


WRITES: ContextVar[Writes | None] = ContextVar("writes", default=None)


@contextmanager
def acknowledge() -> Iterator[Writes]:
    """Wrap the work of one request. If it committed writes, this waits at the end until all older leases have ended."""
    writes = Writes()
    token = WRITES.set(writes)
    try:
        yield writes
    finally:
        WRITES.reset(token)
        if writes.committed_at:
            FRESHNESS.wait_out(writes.committed_at)


def has_committed() -> bool:
    """Whether the current request has committed a write to a watched table."""
    writes = WRITES.get()
    return writes is not None and writes.committed_at > 0


def note_write(sql: str, connection: Any) -> None:
    """Check whether a statement writes a watched table. Connections call this for each statement that may write."""
    if is_watched(sql):
        expect_commit(connection)


def expect_commit(connection: Any) -> None:
    """Let the connection call `note_commit` at its commit, once for each transaction."""
    # A second hook would wait a second time. A savepoint's rollback removes the hook; the next write adds it again.
    hooks = connection.run_on_commit
    if not hooks or note_commit not in hooks[-1]:
        connection.on_commit(note_commit)


def is_watched(sql: str) -> bool:
    """Whether a statement writes a watched table, or may do so."""
    if found := TARGET.match(sql):
        return found[1] in FRESHNESS.watched
    return sql.lstrip()[:4].upper() == "WITH" and bool(WRITING.search(sql))


def note_commit() -> None:
    """End this process's lease after a commit. Outside a request, also wait until the other processes' leases end."""
    FRESHNESS.end()
    writes, now = WRITES.get(), time.monotonic()
    if writes is None:
        FRESHNESS.wait_out(now)
    else:
        writes.committed_at = now
