"""The newest position of the change log that this process may trust: it decides whether a cached answer is current.

Only the database knows that position. A process asks for it and trusts the answer for CACHE_LEASE_MS, counted from
before it asked: that is its lease. A write is acknowledged only when CACHE_LEASE_MS have passed since its commit
(commits.py). So a client that reads after an acknowledgement reaches a process that asked after the commit, and a cache
hit needs no query. Triggers fill the log, so every write counts, whoever makes it. Redis holds answers and never
decides whether one is fresh, so it may lose them.

The leases are Gray and Cheriton's ("Leases: an efficient fault-tolerant mechanism for distributed file cache
consistency", SOSP 1989); our writer waits until they end, and doesn't call them back.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Lock
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from config.metrics import count

logger = logging.getLogger("tenfold.cache")

# A look at the log takes a millisecond. If it takes longer than this, the database hangs, and requests that wait for
# the look go on to the request slots, where few may wait: if every thread waited here, no probe would be answered.
PATIENCE_SECONDS = 0.25

# The process asks for its next lease when this share of the present one is left.
AHEAD = 0.25

# The log deletes changes after CHANGE_RETENTION_DAYS, which is at least 1. A process that hasn't looked for this long
# takes every table for changed, since it may have missed deleted changes.
GREATEST_GAP_SECONDS = 3600.0


class LogState(NamedTuple):
    """What the change log answers to one look."""

    # Names the database that numbers the changes. It differs after a restart or a restore, when positions may repeat.
    epoch: str
    # Of the newest change.
    position: int
    # Tables with changes after the position that was asked about; None if any table may have some.
    changed: frozenset[str] | None
    # The database's position in its write-ahead log (wal_positions.py); a replica must have reached it to fill.
    reached: int


# Asks the log what changed after a position; None if the log can't tell now.
type Follow = Callable[[int], LogState | None]


@dataclass(frozen=True)
class LogLease:
    """A state of the log that this process may trust until `until`; a read after `renew_at` asks for the next one.

    Both are seconds of the monotonic clock.
    """

    until: float = 0.0
    renew_at: float = 0.0
    epoch: str = ""
    position: int = 0
    reached: int = 0
    # The position of the newest change of each table, if it is newer than `known_since`; older ones aren't known.
    known_since: int = 0
    changed: Mapping[str, int] = field(default_factory=dict)

    def covers(self, epoch: str, position: int, tables: Iterable[str]) -> bool:
        """Whether none of `tables` has changed since `position`."""
        if epoch != self.epoch or position > self.position:
            return False
        return all(self.changed.get(table, self.known_since) <= position for table in tables)


@dataclass(frozen=True)
class Stamp:
    """The log's position before an answer was read, and the tables that the answer was read from."""

    epoch: str
    position: int
    tables: frozenset[str]

    def is_current(self, lease: LogLease) -> bool:
        return lease.covers(self.epoch, self.position, self.tables)


class Freshness:
    """This process's lease on the log; every thread may use it."""

    def __init__(self) -> None:
        self.lock = Lock()
        # Held while `lease` and `endings` change, and never during a query.
        self.ending = Lock()
        self.lease: LogLease | None = None
        self.last = LogLease()
        # How often `end` was called: a lease that was asked for before a commit isn't kept after it.
        self.endings = 0
        self.epoch_suffix = ""
        self.follow: Follow = lambda after: None
        # Tables that the log covers; the cache keeps no answer from other tables.
        self.tables: frozenset[str] = frozenset()
        # Tables whose writes are acknowledged late: `tables`, and those that say what a caller may see.
        self.watched: frozenset[str] = frozenset()
        # Gives the calling thread a connection for the look; by default the thread's own.
        self.lend: Callable[[], AbstractContextManager[None]] = nullcontext
        self.refresh_ahead: RefreshAhead | None = None
        # The kind of the last look's failure; None if it succeeded.
        self.failure: type[Exception] | None = None

    def follow_log(self, follow: Follow, tables: Iterable[str]) -> None:
        """Set how the log is asked, and which tables it covers. One app calls this, once, in its ready()."""
        self.follow, self.tables = follow, frozenset(tables)
        self.watch(tables)

    def watch(self, tables: Iterable[str]) -> None:
        self.watched |= frozenset(tables)

    def read(self) -> LogLease | None:
        """A lease that is valid now; None if the database doesn't answer in time, or if CACHE is off."""
        lease, now = self.lease, time.monotonic()
        if lease is not None and now < lease.until:
            if now > lease.renew_at and self.refresh_ahead:
                self.refresh_ahead.renew(lease)
            return lease
        return self.renew() if settings.CACHE == "on" else None

    def renew(self, old: LogLease | None = None) -> LogLease | None:
        """A new lease, by one query. The first thread makes it; the others wait for it, up to PATIENCE_SECONDS.

        `old` is a lease that is still valid but must be replaced.
        """
        if not self.lock.acquire(timeout=PATIENCE_SECONDS):
            return None
        try:
            if (lease := self.lease) is not None and lease is not old and time.monotonic() < lease.until:
                return lease
            endings = self.endings
            lease = self.look()
            if lease is None:
                return None
            self.last = lease
            # If this process has committed since, only the requests that wait here may use the lease: they came before
            # the commit was acknowledged.
            with self.ending:
                self.lease = lease if endings == self.endings else None
            return lease
        finally:
            self.lock.release()

    def look(self) -> LogLease | None:
        """Ask the log once. None if that fails, in whatever way: the request goes on without the cache."""
        began = time.monotonic()
        try:
            with self.lend():
                state = self.follow(self.last.position)
            lease = None if state is None else self.take(state, began)
        except Exception as error:
            self.note_failure(error)
            return None
        self.failure = None
        return lease

    def note_failure(self, error: Exception) -> None:
        """Log a failure once, until a look succeeds or fails in another way; there may be 50 looks a second."""
        if type(error) is self.failure:
            return
        self.failure = type(error)
        # A traceback helps to find a defect; it says nothing about a database that is away.
        is_away = isinstance(error, DatabaseError | InterfaceError)
        logger.warning(
            "The change log doesn't answer, so the cache is passed by: %s", error, exc_info=None if is_away else error
        )

    def take(self, state: LogState, began: float) -> LogLease:
        last, seconds = self.last, settings.CACHE_LEASE_MS / 1000
        until, renew_at = began + seconds, began + seconds * (1 - AHEAD)
        if state.position < last.position:
            self.epoch_suffix = secrets.token_hex(4)  # the log was emptied: its positions come again
        epoch = state.epoch + self.epoch_suffix
        is_known = epoch == last.epoch and until - last.until < GREATEST_GAP_SECONDS
        if not is_known or (state.changed is None and state.position != last.position):
            return LogLease(until, renew_at, epoch, state.position, state.reached, state.position)
        changed = last.changed
        if state.changed:
            changed = {**changed, **dict.fromkeys(state.changed, state.position)}
            for table in state.changed:
                count("cache_invalidations", table)
        return LogLease(until, renew_at, epoch, state.position, state.reached, last.known_since, changed)

    def end(self) -> None:
        """End the lease, since something was committed just now; the next read asks the log."""
        with self.ending:
            self.endings += 1
            self.lease = None

    def wait_out(self, committed_at: float) -> None:
        """Sleep until no process has a lease from before `committed_at`, in seconds of the monotonic clock."""
        rest = committed_at + settings.CACHE_LEASE_MS / 1000 - time.monotonic()
        if rest > 0 and settings.CACHE == "on":
            time.sleep(rest)


class RefreshAhead:
    """A thread that asks for the next lease while the present one is valid, as long as requests read it.

    Without it all requests wait for a look, 50 times a second: a tenth fewer hits for 16 clients at once.
    """

    def __init__(self, freshness: Freshness) -> None:
        self.freshness = freshness
        self.asked: SimpleQueue[LogLease] = SimpleQueue()
        self.last: LogLease | None = None
        threading.Thread(target=self.run, name="refresh-ahead", daemon=True).start()

    def renew(self, lease: LogLease) -> None:
        """Let the thread replace `lease`, once; returns at once."""
        if self.last is not lease:
            self.last = lease
            self.asked.put(lease)

    def run(self) -> None:
        while True:
            self.freshness.renew(self.asked.get())


FRESHNESS = Freshness()
