"""A cached answer: the body's final bytes in one coding, and the headers. In Redis it is bytes, never a pickle."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from config.api.freshness.leases import LogLease, Stamp
from config.api.rendering.encodings import compress

# Headers that aren't cached, in lower case: they depend on the coding, time, caller or origin of one answer.
PER_ANSWER = frozenset(
    {"content-length", "content-encoding", "server-timing", "x-cache", "x-request-id", "age", "date", "x-data-version"}
    | {"access-control-allow-origin", "access-control-expose-headers"}
    | {f"ratelimit-{name}" for name in ("limit", "remaining", "reset")}
)
# Headers that a 304 repeats (RFC 9110, 15.4.5).
CONDITIONAL = frozenset({"cache-control", "content-location", "etag", "expires", "vary"})

# Bytes of memory that an entry takes in addition to its body.
OVERHEAD = 3000

# Of packed entries. A release that follows other tables than another one has another number, and can't unpack its
# entries: it wouldn't learn that they are old.
FORMAT = 2

type Header = tuple[str, str]


@dataclass
class Entry:
    """A cached 200. `headers` are those that all its answers share; `body` is in `coding`, "" if not compressed."""

    stamp: Stamp
    route: str
    headers: list[Header]
    body: bytes
    coding: str = ""
    made_at: float = field(default_factory=time.time)
    # The number of rows in the answer, for the access log; None if it has no rows.
    rows: int | None = None
    # `LogLease.changed` of the lease that last found the entry current. With the same object no second check is needed.
    checked: Any = None
    # Whether a request has used the entry since Memory last made room.
    was_used: bool = False

    def __post_init__(self) -> None:
        named = {name.lower(): value for name, value in self.headers}
        self.etag = named.get("etag", "")
        coded = [("Content-Encoding", self.coding)] if self.coding else []
        self.lines = [*self.headers, *coded, ("Content-Length", str(len(self.body)))]
        self.conditional = [pair for pair in self.headers if pair[0].lower() in CONDITIONAL]
        self.hit_lines = [*self.lines, ("X-Cache", "hit")]
        self.hit_conditional = [*self.conditional, ("X-Cache", "hit")]
        self.size = OVERHEAD + len(self.body)

    def is_current(self, lease: LogLease) -> bool:
        if self.checked is not lease.changed:
            if not self.stamp.is_current(lease):
                return False
            self.checked = lease.changed
        return True

    def encode(self, coding: str) -> Entry:
        """The entry with its body compressed by `coding`; the entry itself if compression doesn't make it shorter."""
        body = compress(self.body, coding)
        return self if body is self.body else replace(self, body=body, coding=coding, was_used=False)

    # -- as bytes

    def pack(self) -> bytes:
        stamp = self.stamp
        about = [self.route, self.coding, self.made_at, self.rows, self.headers]
        return orjson.dumps([FORMAT, stamp.epoch, stamp.position, sorted(stamp.tables), *about]) + b"\n" + self.body

    @classmethod
    def unpack(cls, packed: bytes) -> Entry:
        """The entry that `pack` wrote; ValueError or TypeError for other bytes."""
        head, _, body = packed.partition(b"\n")
        form, epoch, position, tables, route, coding, made_at, rows, headers = orjson.loads(head)
        pairs = [(name, value) for name, value in headers]
        texts = [epoch, route, coding, *tables, *(text for pair in pairs for text in pair)]
        numbers = isinstance(position, int) and isinstance(made_at, int | float) and isinstance(rows, int | None)
        if form != FORMAT or not numbers or not all(isinstance(text, str) for text in texts):
            raise ValueError("a head of another kind")
        return cls(Stamp(epoch, position, frozenset(tables)), route, pairs, body, coding, made_at, rows)


def pick_headers(headers: Iterable[Header]) -> list[Header]:
    """The headers that an entry keeps."""
    return [(name, value) for name, value in headers if name.lower() not in PER_ANSWER]


def is_for_all(status: int, headers: Iterable[Header]) -> bool:
    """Whether all callers of a class may get the answer: a JSON 200 without a cookie whose Cache-Control allows it."""
    named = {name.lower(): value for name, value in headers}
    control = named.get("cache-control", "")
    is_json = named.get("content-type", "").startswith("application/json")
    is_shared = "no-store" not in control and ("no-cache" in control or "s-maxage" in control)
    return status == 200 and is_json and is_shared and "set-cookie" not in named
