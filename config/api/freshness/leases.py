"""The newest position of the change log that this process may trust: it decides whether a cached answer is current.

Only the database knows that position. A process reads it and trusts it for CACHE_LEASE_MS, counted from before the
read: this is its lease. A write is acknowledged only when CACHE_LEASE_MS have passed since its commit (commits.py). So
a client that reads after an acknowledgement reaches a process that has read the log after the commit, and a cache hit
needs no query. Triggers fill the log, so all writers count. Redis stores answers but never decides whether one is
fresh, so it may lose them.

The leases are those of Gray and Cheriton ("Leases: an efficient fault-tolerant mechanism for distributed file cache
consistency", SOSP 1989). But our writer waits until they end, instead of calling them back.
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

# Reading the log takes a millisecond. If it takes longer than this, the database hangs. Requests then stop waiting and
# go on to the request slots, where only few may wait: if all threads waited here, no probe could be answered.
PATIENCE_SECONDS = 0.25

# The process gets its next lease when this share of the current one is left.
AHEAD = 0.25

# Changes are deleted after CHANGE_RETENTION_DAYS, which is at least 1. A process that hasn't read the log for this long
# may have missed deleted changes, so it takes every table as changed.
GREATEST_GAP_SECONDS = 3600.0


# Seconds. If more changes wait for their position than one read can number, no request reads the log for this time.
BEHIND_SECONDS = 0.25

# A thread that numbers a backlog rests this many times as long as it has worked, since requests come first.
REST = 9.0


class LogState(NamedTuple):
    """The result of one read of the change log."""

    # Names the database that numbers the changes. It differs after a restart or a restore, when positions may repeat.
    epoch: str
    # The position of the newest change.
    position: int
    # The tables with changes after the given position; None if any table may have some.
    changed: frozenset[str] | None
    # The database's position in its write-ahead log (wal_positions.py); a replica must have reached it to fill.
    reached: int


# Reads what changed after a position; None if the log can't tell now.
type Follow = Callable[[int], LogState | None]


@dataclass(frozen=True)
class LogLease:
    """A state of the log that this process may trust until `until`. A use after `renew_at` gets the next one.

    Both are seconds of the monotonic clock.
    """

    until: float = 0.0
    renew_at: float = 0.0
    epoch: str = ""
    position: int = 0
    reached: int = 0
    # The position of each table's newest change, if it is after `known_since`. Older ones aren't known.
    known_since: int = 0
    changed: Mapping[str, int] = field(default_factory=dict)

    def covers(self, epoch: str, position: int, tables: Iterable[str]) -> bool:
        """Whether none of `tables` has changed since `position`."""
        if epoch != self.epoch or position > self.position:
            return False
        return all(self.changed.get(table, self.known_since) <= position for table in tables)


@dataclass(frozen=True)
class Stamp:
    """The log's position from before an answer was read, and the tables that it was read from."""

    epoch: str
    position: int
    tables: frozenset[str]

    def is_current(self, lease: LogLease) -> bool:
        return lease.covers(self.epoch, self.position, self.tables)


class Freshness:
    """This process's lease on the log. All threads may use it."""

    def __init__(self) -> None:
        self.lock = Lock()
        # Held while `lease` and `endings` change, and never during a query.
        self.ending = Lock()
        self.lease: LogLease | None = None
        self.last = LogLease()
        # How often `end` was called: a lease from a read that began before a commit isn't kept after it.
        self.endings = 0
        self.epoch_suffix = ""
        self.follow: Follow = lambda after: None
        # Numbers a batch of waiting changes, and returns whether more wait.
        self.catch_up: Callable[[], bool] = lambda: False
        # The log has a backlog, and isn't read before this time of the monotonic clock.
        self.behind_until = 0.0
        # Tables that the log covers; the cache keeps no answer from other tables.
        self.tables: frozenset[str] = frozenset()
        # Tables whose writes are acknowledged late: `tables`, and those that decide what a caller may see.
        self.watched: frozenset[str] = frozenset()
        # Gives the calling thread a connection for reading the log; by default the thread's own.
        self.lend: Callable[[], AbstractContextManager[None]] = nullcontext
        self.refresh_ahead: RefreshAhead | None = None
        # The class of the last read's exception; None if it succeeded.
        self.failure: type[Exception] | None = None

    def follow_log(self, follow: Follow, tables: Iterable[str], catch_up: Callable[[], bool] = lambda: False) -> None:
        """Set how the log is read, and which tables it covers. One app calls this, once, in its ready()."""
        self.follow, self.tables, self.catch_up = follow, frozenset(tables), catch_up
        self.watch(tables)

    def watch(self, tables: Iterable[str]) -> None:
        self.watched |= frozenset(tables)

    def peek(self) -> LogLease | None:
        """The lease if it is valid now; never asks the database."""
        lease = self.lease
        return lease if lease is not None and time.monotonic() < lease.until else None

    def read(self) -> LogLease | None:
        """A lease that is valid now; None if the database doesn't answer in time, or if CACHE is off."""
        lease, now = self.lease, time.monotonic()
        if lease is not None and now < lease.until:
            if now > lease.renew_at and self.refresh_ahead:
                self.refresh_ahead.renew(lease)
            return lease
        if now < self.behind_until:
            return None
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
            # If this process has committed meanwhile, only the requests that wait here may use the lease: they came
            # before the commit was acknowledged.
            with self.ending:
                self.lease = lease if endings == self.endings else None
            return lease
        finally:
            self.lock.release()

    def look(self) -> LogLease | None:
        """Read the log once. None if that fails, in whatever way: the request continues without the cache."""
        began = time.monotonic()
        try:
            with self.lend():
                state = self.follow(self.last.position)
            lease = None if state is None else self.take(state, began)
            if state is None:
                self.behind_until = time.monotonic() + BEHIND_SECONDS
                if self.refresh_ahead:
                    self.refresh_ahead.catch_up()
        except Exception as error:
            self.note_failure(error)
            return None
        self.failure = None
        return lease

    def note_failure(self, error: Exception) -> None:
        """Log a failure once, until a read succeeds or fails in another way: there may be 50 reads a second."""
        if type(error) is self.failure:
            return
        self.failure = type(error)
        # A traceback helps to find a defect; it says nothing about a database that is away.
        is_away = isinstance(error, DatabaseError | InterfaceError)
        logger.warning(
            "The change log can't be read, so the cache isn't used: %s", error, exc_info=None if is_away else error
        )

    def take(self, state: LogState, began: float) -> LogLease:
        last, seconds = self.last, settings.CACHE_LEASE_MS / 1000
        until, renew_at = began + seconds, began + seconds * (1 - AHEAD)
        if state.position < last.position:
            self.epoch_suffix = secrets.token_hex(4)  # the log was emptied, so its positions repeat
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
        """End the lease after a commit. The next use reads the log again."""
        with self.ending:
            self.endings += 1
            self.lease = None

    def wait_out(self, committed_at: float) -> None:
        """Sleep until no process has a lease from before `committed_at`, in seconds of the monotonic clock."""
        rest = committed_at + settings.CACHE_LEASE_MS / 1000 - time.monotonic()
        if rest > 0 and settings.CACHE == "on":
            time.sleep(rest)


class RefreshAhead:
    """A thread that gets the next lease while the current one is valid, as long as requests use it.

    Without it all requests would wait for a read, 50 times a second: a tenth fewer hits for 16 clients at once.
    """

    def __init__(self, freshness: Freshness) -> None:
        self.freshness = freshness
        # A lease to replace, or None for a backlog.
        self.asked: SimpleQueue[LogLease | None] = SimpleQueue()
        self.is_behind = False
        self.last: LogLease | None = None
        threading.Thread(target=self.run, name="refresh-ahead", daemon=True).start()

    def renew(self, lease: LogLease) -> None:
        """Let the thread replace `lease`, once. Doesn't wait."""
        if self.last is not lease:
            self.last = lease
            self.asked.put(lease)

    def catch_up(self) -> None:
        """Let the thread number the waiting changes, unless it is doing so. Doesn't wait for it."""
        if not self.is_behind:
            self.is_behind = True
            self.asked.put(None)

    def run(self) -> None:
        while True:
            if lease := self.asked.get():
                self.freshness.renew(lease)
            else:
                self.work_off()

    def work_off(self) -> None:
        """Number batch by batch until no change waits. Meanwhile there are no leases to renew."""
        try:
            while self.is_behind:
                began = time.monotonic()
                with self.freshness.lend():
                    self.is_behind = self.freshness.catch_up()
                time.sleep((time.monotonic() - began) * REST)
        except Exception as error:
            # The next read that finds a backlog calls `catch_up` again.
            self.is_behind = False
            self.freshness.note_failure(error)


FRESHNESS = Freshness()
