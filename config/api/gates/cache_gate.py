"""Answers a GET from the cache, before Django. The answer is never older than an acknowledged write.

`CacheGate` wraps the server's application. A middleware does the same for the test client and runserver, which have
no such server. Both use one Cache, which takes these steps:
1. Read the query, that is, the cache key (request.py).
2. Look for an entry in this process (memory.py), and compare it with the lease on the change log (freshness).
3. If there is none, look in Redis, which all processes share (in_redis.py).
4. If there is none, one request asks the application and fills the entry; the others wait (single_flight.py).
The answer's own headers say whether it may be cached (entries.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser

from config.api.database.lending import Loans
from config.api.database.replicas import read_at_least
from config.api.database.wal_positions import is_position
from config.api.freshness.commits import acknowledge
from config.api.freshness.leases import FRESHNESS, LogLease, Stamp
from config.api.freshness.tables import note_reads
from config.api.gates import in_redis
from config.api.gates.callers import Callers
from config.api.gates.cross_origin import Origins
from config.api.gates.entries import Entry, Header, is_for_all, pick_headers
from config.api.gates.memory import Memory, SecondAskFilter
from config.api.gates.records import CACHE_STATE, find_rows, record_kept
from config.api.gates.request import Action, Environ, StartResponse, find_action, is_plain_read, read_gate_request
from config.api.gates.single_flight import Flight, SingleFlight, wait_for_others
from config.api.reads.conditional import are_tags, is_known
from config.api.rendering.encodings import IDENTITY, choose_coding

# Request headers that are removed before the application fills an entry: an entry is a whole answer, not compressed.
OURS = ("HTTP_ACCEPT_ENCODING", "HTTP_IF_NONE_MATCH")
# Characters. A request with a longer raw key goes to Django. The server accepts 400 kB of headers, so without this
# limit a client could fill the memory with 20,000 long raw keys.
LONGEST_RAW_KEY = 2048
# The most times that a request fills or waits. A new entry is already old if somebody wrote while it was filled.
GREATEST_TRIES = 3


# What a server is given: status, headers, body.
type Answer = tuple[str, list[Header], bytes]
# Calls the application with the environ.
type Run = Callable[[Environ], Answer]
type RawKey = tuple[str | None, ...]


@dataclass(frozen=True)
class CacheQuery:
    """What a request asks: its cache key, the coding of the answer, and the action that reads the rows.

    Requests that differ only in spelling, such as the order of parameters, have the same key.
    """

    key: str
    coding: str
    action: Action

    @cached_property
    def entry_key(self) -> str:
        return f"{self.key}:{self.coding}"


class Cache:
    """The cache of this process; CacheGate and its twin call `answer`."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.memory = Memory(settings.CACHE_MEMORY_BYTES)
        self.second_asks = SecondAskFilter()
        self.flights = SingleFlight()
        self.callers = Callers()
        self.origins = Origins()

    def answer(self, environ: Environ, run: Run, tries: int = 1) -> Answer | None:
        """None if the request isn't cacheable or no lease is available; call the application directly."""
        began = time.perf_counter()
        raw = raw_key(environ)
        query = self.memory.queries.get(raw) or self.read(environ, raw)
        if query is None or (lease := FRESHNESS.read()) is None:
            return None
        tags = environ.get("HTTP_IF_NONE_MATCH")
        if tags is not None and not are_tags(tags):
            return None  # Django answers what is wrong with them
        entry = self.find(query, lease)
        if entry is not None:
            return self.hit(environ, entry, began)
        return self.read_through(environ, query, lease, run, tries)

    # -- the query of a request

    def read(self, environ: Environ, raw: RawKey) -> CacheQuery | None:
        """The query of a request whose raw key isn't known. Tokens and `X-Min-Version` are checked each time."""
        *_, least, token = raw
        if not is_plain_read(environ):
            return None
        if least is not None and not has_reached(least):
            return None  # the application reads the database, and counts the request in the caller's rate
        if least is None and token is None:
            return self.read_raw_key(raw, environ, "")
        who = "" if token is None else self.name_caller(environ)
        return None if who is None else self.read_raw_key((who, *raw[:-2]), environ, who)

    def name_caller(self, environ: Environ) -> str | None:
        action = find_action(environ)
        return self.callers.name_class(environ, action) if action else None

    def read_raw_key(self, raw: RawKey, environ: Environ, who: str) -> CacheQuery | None:
        """The query of `raw`, cached by it. `who` is the caller's class, "" for a request without a token."""
        query: CacheQuery | None = self.memory.queries.get(raw)
        if query is not None or sum(len(part) for part in raw if part) > LONGEST_RAW_KEY:
            return query
        query = read_cache_query(environ, who)
        if query is not None and "HTTP_HOST" in environ:
            self.memory.queries.keep(raw, query)
        return query

    # -- current entries

    def find(self, query: CacheQuery, lease: LogLease) -> Entry | None:
        """The current entry that this process holds, in the query's coding; None if there is none."""
        entry = self.memory.find(query.entry_key)
        if entry is not None and entry.is_current(lease):
            return entry
        plain = self.memory.find(f"{query.key}:") if query.coding else None
        return self.encode(query, plain) if plain is not None and plain.is_current(lease) else None

    def find_in_redis(self, query: CacheQuery, lease: LogLease) -> Entry | None:
        """The current entry that Redis holds, also kept in this process; None if there is none."""
        codings = (query.coding, IDENTITY) if query.coding else (IDENTITY,)
        for entry in in_redis.find(lease.epoch, query.key, codings):
            if entry.is_current(lease):
                self.memory.keep(f"{query.key}:{entry.coding}", entry)
                return entry if entry.coding == query.coding else self.encode(query, entry)
        return None

    def encode(self, query: CacheQuery, plain: Entry) -> Entry:
        """The entry in the query's coding. It is compressed at the first request for this coding, then kept too."""
        if not query.coding or plain.coding == query.coding:
            return plain
        entry = plain.encode(query.coding)
        self.memory.keep(query.entry_key, entry)
        if entry is not plain:
            in_redis.keep(query.key, entry)
        return entry

    def hit(self, environ: Environ, entry: Entry, began: float) -> Answer:
        """The entry as an answer; 304 if the client has it already. `began` is a time of `perf_counter`."""
        tags = environ.get("HTTP_IF_NONE_MATCH")
        if tags is not None and is_known(tags, entry.etag):
            own = record_kept(environ, entry, 304, 0, began)
            return "304 Not Modified", [*entry.hit_conditional, *own, *self.origins[environ.get("HTTP_ORIGIN")]], b""
        body = entry.body if environ["REQUEST_METHOD"] == "GET" else b""
        own = record_kept(environ, entry, 200, len(body), began)
        return "200 OK", [*entry.hit_lines, *own, *self.origins[environ.get("HTTP_ORIGIN")]], body

    # -- no current entry

    def read_through(self, environ: Environ, query: CacheQuery, lease: LogLease, run: Run, tries: int) -> Answer | None:
        """The application's answer, made once for all requests that wait for it; None if each must call it itself."""
        environ[CACHE_STATE] = "miss"
        if environ["REQUEST_METHOD"] == "HEAD":
            return None
        if old := self.find_stale(environ, query):
            return self.show_stale(environ, old)
        with self.flights.join(query.key) as (flight, leads):
            if leads:
                return self.fill(environ, query, lease, run, flight)
        if flight.entry is None or tries == GREATEST_TRIES:
            return None
        # A request that waited may know of a write that the fill didn't see.
        now = FRESHNESS.read()
        if now and flight.entry.is_current(now) and flight.entry.coding in (IDENTITY, query.coding):
            return self.hit(environ, self.encode(query, flight.entry), time.perf_counter())
        return self.answer(environ, run, tries + 1)

    def find_stale(self, environ: Environ, query: CacheQuery) -> Entry | None:
        """An old entry, if the view allows stale answers and another request is filling a new one."""
        most = query.action.view.stale_seconds
        if not most or "HTTP_X_MIN_VERSION" in environ or query.key not in self.flights.running:
            return None
        old = self.memory.find(query.entry_key)
        return old if old is not None and time.time() - old.made_at <= most else None

    def show_stale(self, environ: Environ, old: Entry) -> Answer:
        own = record_kept(environ, old, 200, len(old.body), time.perf_counter(), state="stale")
        age = ("Age", str(int(time.time() - old.made_at)))
        given = (*own, *self.origins[environ.get("HTTP_ORIGIN")])
        return "200 OK", [*old.lines, ("X-Cache", "stale"), age, *given], old.body

    def fill(self, environ: Environ, query: CacheQuery, lease: LogLease, run: Run, flight: Flight) -> Answer | None:
        is_second = self.second_asks.is_second(query.key)
        # Another process may have filled it, even if this process gets the first request for it.
        look = self.find_or_claim if is_second else self.find_in_redis
        if entry := look(query, lease):
            flight.entry = entry
            return self.hit(environ, entry, time.perf_counter())
        with ask_plainly(environ), read_at_least(lease.reached), note_reads() as reads:
            status, headers, body = answer = run(environ)
        if not (is_for_all(int(status[:3]), headers) and reads.are_followed):
            if is_second:
                in_redis.give_up(lease.epoch, query.key)
            return answer
        stamp = Stamp(lease.epoch, lease.position, reads.tables or FRESHNESS.tables)
        flight.entry = Entry(stamp, query.action.route, pick_headers(headers), body, rows=find_rows(environ))
        if is_second or flight.waiting:
            self.memory.keep(f"{query.key}:", flight.entry)
            in_redis.keep(query.key, flight.entry, is_claimed=is_second)
            return show_filled(environ, answer, self.encode(query, flight.entry))
        return show_filled(environ, answer, flight.entry.encode(query.coding))

    def find_or_claim(self, query: CacheQuery, lease: LogLease) -> Entry | None:
        """The entry that another process has filled or is filling; None if this process must fill it."""
        entry = self.find_in_redis(query, lease)
        if entry is None and not in_redis.claim(lease.epoch, query.key):
            # Read the lease again at each look: the other process may know of a newer write than `lease` does.
            entry = wait_for_others(lambda: self.find_in_redis(query, FRESHNESS.read() or lease))
        return entry


def has_reached(least: str) -> bool:
    """Whether this process has read the change log as far as the version in an `X-Min-Version`."""
    lease = FRESHNESS.read() if is_position(least) else None
    return lease is not None and int(least) <= lease.reached


def raw_key(environ: Environ) -> RawKey:
    """All parts of a request that its answer depends on.

    A request with one of the last four isn't cacheable, or is checked each time.
    """
    get = environ.get
    return (
        get("REQUEST_METHOD"), get("SCRIPT_NAME"), get("PATH_INFO"), get("QUERY_STRING"), get("HTTP_HOST"),
        get("HTTP_ACCEPT"), get("HTTP_ACCEPT_ENCODING"), get("HTTP_X_FORWARDED_PROTO"), get("wsgi.url_scheme"),
        get("CONTENT_LENGTH"), get("HTTP_TRANSFER_ENCODING"),
        get("HTTP_COOKIE"), get("HTTP_IF_MATCH"), get("HTTP_X_MIN_VERSION"), get("HTTP_AUTHORIZATION"),
    )  # fmt: skip


def read_cache_query(environ: Environ, who: str) -> CacheQuery | None:
    """The query of a request; None if it isn't cacheable. `who` is the caller's class, "" without a token."""
    read = read_gate_request(environ)
    if read is None or (not who and read.action.view.find_audience(AnonymousUser()) is None):
        return None
    text = repr((read.origin, read.action.path, read.query, who))
    name = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return CacheQuery(name, choose_coding(environ.get("HTTP_ACCEPT_ENCODING", "")), read.action)


@contextmanager
def ask_plainly(environ: Environ) -> Iterator[None]:
    kept = {name: environ.pop(name) for name in OURS if name in environ}
    try:
        yield
    finally:
        environ.update(kept)


def show_filled(environ: Environ, answer: Answer, entry: Entry) -> Answer:
    """The answer to the request that filled the entry, in its coding, with its own timing and rate headers."""
    (status, headers, _), named = answer, {name.lower() for name, _ in entry.lines}
    own = [(name, value) for name, value in headers if name.lower() not in named]
    if is_known(environ.get("HTTP_IF_NONE_MATCH", ""), entry.etag):
        return "304 Not Modified", [*entry.conditional, *own], b""
    return status, [*entry.lines, *own], entry.body


# -- the gate ----------------------------------------------------------------------------------------------------


class CacheGate:
    """Wraps a WSGI application and answers from the cache where it can."""

    def __init__(self, application: Callable[[Environ, StartResponse], Any]) -> None:
        self.application = application
        # Connections to read the change log. The request slots behind the gate have their own.
        FRESHNESS.lend = Loans(settings.WEB_THREADS).lend

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answer = CACHE.answer(environ, self.run)
        if answer is None:
            environ[AT_THE_GATE] = True
            with acknowledge():
                return self.application(environ, start_response)
        status, headers, body = answer
        start_response(status, headers)
        return [body]

    def run(self, environ: Environ) -> Answer:
        started: list[Any] = []
        environ[AT_THE_GATE] = True
        with acknowledge():
            chunks = self.application(environ, lambda *line: started.append(line))
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        [(status, headers, *_)] = started
        return status, headers, body


# The gate sets this key in the environ, so that the middleware of the same purpose does nothing.
AT_THE_GATE = "tenfold.gate"

CACHE = Cache()
