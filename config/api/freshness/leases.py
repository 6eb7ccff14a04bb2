"""How far the change log has come, as this process may trust it: what tells a kept answer from an old one.

The database is the one witness. A process asks it for the log's newest position and trusts the answer for
CACHE_LEASE_MS, counted from before it asked; a write is acknowledged only once so much time has gone by since its
commit. So whoever reads after an acknowledgement is served by a process that asked after the commit, and a hit needs
no look-up. It makes no difference who wrote, or how: the log is filled by triggers. Nor does it matter what becomes of
Redis, which holds answers, and never decides whether one is fresh.

The leases are Gray and Cheriton's ("Leases: an efficient fault-tolerant mechanism for distributed file cache
consistency", SOSP 1989), with the writer waiting them out in place of calling them back.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, lru_cache
from queue import SimpleQueue
from threading import Lock
from typing import Any, NamedTuple

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from config.api.database.observers import observe
from config.metrics import count

logger = logging.getLogger("tenfold.cache")

# A look at the log takes a millisecond. Past this the database hangs, and whoever waits goes on to the work slots,
# where waiting has a bound: a server whose every thread waited here would answer no probe either.
PATIENCE_SECONDS = 0.25

# The share of a lease's time that is left when the next one is asked for.
AHEAD = 0.25

# A log doesn't keep its changes for ever (CHANGE_RETENTION_DAYS, one at the least): who hasn't looked for so long may
# have missed some.
GREATEST_GAP_SECONDS = 3600.0


class LogState(NamedTuple):
    """What a change log says of itself."""

    # Another one where positions may begin anew: another database, or the same one restarted or restored.
    epoch: str
    position: int
    # Tables with changes behind the position that was asked about; None where any may have some.
    changed: frozenset[str] | None
    # Where the database itself is (wal_positions.py), so that a replica can be asked for no less.
    reached: int


# From a position on. None where the log can't say it now.
type Follow = Callable[[int], LogState | None]


@dataclass(frozen=True)
class LogLease:
    """What may be trusted until `until`, in seconds of the monotonic clock; read after `renew_at`, it is renewed."""

    until: float = 0.0
    renew_at: float = 0.0
    epoch: str = ""
    position: int = 0
    reached: int = 0
    # Whatever changed up to `known_since` isn't known by table.
    known_since: int = 0
    changed: Mapping[str, int] = field(default_factory=dict)

    def covers(self, epoch: str, position: int, tables: Iterable[str]) -> bool:
        """Whether nothing of `tables` has changed since the log stood at `position`."""
        if epoch != self.epoch or position > self.position:
            return False
        return all(self.changed.get(table, self.known_since) <= position for table in tables)


@dataclass(frozen=True)
class Stamp:
    """Where the change log stood before an answer was read, and the tables that it was read from."""

    epoch: str
    position: int
    tables: frozenset[str]

    def is_current(self, lease: LogLease) -> bool:
        return lease.covers(self.epoch, self.position, self.tables)


class Freshness:
    """The lease of this process; safe for threads."""

    def __init__(self) -> None:
        self.lock = Lock()
        # Around each change of `lease` and `endings`, and never held while the database is asked.
        self.ending = Lock()
        self.lease: LogLease | None = None
        self.last = LogLease()
        self.endings = 0
        self.epoch_suffix = ""
        self.follow: Follow = lambda after: None
        # Those that the log covers; an answer made of others isn't kept.
        self.tables: frozenset[str] = frozenset()
        # Those whose writes wait: these, and the ones that say who may see what.
        self.watched: frozenset[str] = frozenset()
        # What the log is asked with; the thread's own connections, unless there are more threads than those.
        self.lend: Callable[[], AbstractContextManager[None]] = nullcontext
        self.refresh_ahead: RefreshAhead | None = None
        # How the last look failed; None where it didn't.
        self.failure: type[Exception] | None = None

    def follow_log(self, follow: Follow, tables: Iterable[str]) -> None:
        """Where news come from, and the tables that they are about; said once, when the apps are loaded."""
        self.follow, self.tables = follow, frozenset(tables)
        self.watch(tables)

    def watch(self, tables: Iterable[str]) -> None:
        self.watched |= frozenset(tables)

    def read(self) -> LogLease | None:
        """A lease that holds now; None where the database doesn't answer for one, or CACHE is off."""
        lease, now = self.lease, time.monotonic()
        if lease is not None and now < lease.until:
            if now > lease.renew_at and self.refresh_ahead:
                self.refresh_ahead.renew(lease)
            return lease
        return self.renew() if settings.CACHE == "on" else None

    def renew(self, old: LogLease | None = None) -> LogLease | None:
        """One query, by whichever thread comes first; the others wait for it, up to PATIENCE_SECONDS.

        `old` is one that still holds, and won't do.
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
            # A commit of our own came in between: good enough for who waits here, who came before it was acknowledged.
            with self.ending:
                self.lease = lease if endings == self.endings else None
            return lease
        finally:
            self.lock.release()

    def look(self) -> LogLease | None:
        """Ask the log once. None where it can't say: whatever the failure is, a request goes on without the cache."""
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
        """Log a failure once, until a look succeeds or fails in another way: there may be fifty looks a second."""
        if type(error) is self.failure:
            return
        self.failure = type(error)
        # Of a database that is away the traceback says nothing; anything else is a defect, to be found by it.
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
        """What was committed just now is news."""
        with self.ending:
            self.endings += 1
            self.lease = None

    def wait_out(self, committed_at: float) -> None:
        """Until no process trusts what it heard before `committed_at`."""
        rest = committed_at + settings.CACHE_LEASE_MS / 1000 - time.monotonic()
        if rest > 0 and settings.CACHE == "on":
            time.sleep(rest)


class RefreshAhead:
    """A thread that renews a lease while the last one still holds; as long as anybody reads.

    Else all who answer wait for a look, fifty times a second: a tenth fewer hits, of 16 clients at once.
    """

    def __init__(self, freshness: Freshness) -> None:
        self.freshness = freshness
        self.asked: SimpleQueue[LogLease] = SimpleQueue()
        self.last: LogLease | None = None
        threading.Thread(target=self.run, name="refresh-ahead", daemon=True).start()

    def renew(self, lease: LogLease) -> None:
        """Once a lease; returns at once."""
        if self.last is not lease:
            self.last = lease
            self.asked.put(lease)

    def run(self) -> None:
        while True:
            self.freshness.renew(self.asked.get())


FRESHNESS = Freshness()


# -- writes ------------------------------------------------------------------------------------------------------

# The table that a statement writes; one that begins with WITH may write any.
TARGET = re.compile(
    r'\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?|MERGE\s+INTO|COPY)\s+(?:ONLY\s+)?"?(\w+)', re.I
)
WRITING = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE)\b", re.I)


class Writes:
    """When a request last committed something that others may have kept; 0 for never."""

    committed_at = 0.0


WRITES: ContextVar[Writes | None] = ContextVar("writes", default=None)


@contextmanager
def acknowledge() -> Iterator[Writes]:
    """Around whatever answers a request: what it writes is waited out at the end, once."""
    writes = Writes()
    token = WRITES.set(writes)
    try:
        yield writes
    finally:
        WRITES.reset(token)
        if writes.committed_at:
            FRESHNESS.wait_out(writes.committed_at)


def has_committed() -> bool:
    """Whether the request at hand has."""
    writes = WRITES.get()
    return writes is not None and writes.committed_at > 0


def note_writes(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """An `execute_wrapper` of every connection."""
    result = execute(sql, params, many, context)
    # Most statements are reads: their first letter says so.
    if (text := str(sql)).lstrip()[:1] not in "Ss" and is_watched(text):
        expect_commit(context["connection"])
    return result


def expect_commit(connection: Any) -> None:
    # Once a transaction: each would be waited out. What a savepoint's rollback takes away is asked for anew.
    hooks = connection.run_on_commit
    if not hooks or note_commit not in hooks[-1]:
        connection.on_commit(note_commit)


def is_watched(sql: str) -> bool:
    if found := TARGET.match(sql):
        return found[1] in FRESHNESS.watched
    return sql.lstrip()[:4].upper() == "WITH" and bool(WRITING.search(sql))


def note_commit() -> None:
    """Right after a commit; outside a request nobody else would wait."""
    FRESHNESS.end()
    writes, now = WRITES.get(), time.monotonic()
    if writes is None:
        FRESHNESS.wait_out(now)
    else:
        writes.committed_at = now


# -- reads -------------------------------------------------------------------------------------------------------

WORD = re.compile(r"\w+")


class Reads:
    """The tables that a block's statements read; an observer of them."""

    def __init__(self) -> None:
        self.tables: frozenset[str] = frozenset()

    def __call__(self, execute: Callable[..., Any], sql: Any, *args: Any) -> Any:
        self.tables |= find_tables(str(sql))
        return execute(sql, *args)

    @property
    def are_followed(self) -> bool:
        """Whether the log says all that could make the answer old."""
        return self.tables <= FRESHNESS.tables


@contextmanager
def note_reads() -> Iterator[Reads]:
    reads = Reads()
    with observe(reads):
        yield reads


@lru_cache(maxsize=1024)
def find_tables(sql: str) -> frozenset[str]:
    """Of the models, by the words of the statement. A name of the log's apps that isn't a model's, such as a search
    index's, stands for all tables of the log. Those that say who may see what are left out: they are asked each time.
    """
    words = set(WORD.findall(sql))
    named = words & _list_tables()
    hidden = any(word.startswith(_list_prefixes()) for word in words - named)
    return frozenset(named - (FRESHNESS.watched - FRESHNESS.tables)) | (FRESHNESS.tables if hidden else frozenset())


@cache
def _list_tables() -> frozenset[str]:
    return frozenset(model._meta.db_table for model in apps.get_models(include_auto_created=True))


@cache
def _list_prefixes() -> tuple[str, ...]:
    return tuple({f"{table.split('_')[0]}_" for table in FRESHNESS.tables})
