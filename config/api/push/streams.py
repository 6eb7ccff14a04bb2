"""One client's stream: which rows it gets, how far it is, and the channel that its bytes go to.

The bytes are those of Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html). Of an event,
`id:` is the position after it, which the client sends back as `Last-Event-ID`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import NamedTuple, Protocol

from rest_framework.exceptions import APIException

from config.api.access.permissions import Caller
from config.api.problems.error_handler import build_problem
from config.api.rendering.renderers import write_json

# Milliseconds after which a client whose connection ended connects again.
RETRY_MS = 2000


class Row(NamedTuple):
    """A row of a source: its position, its kind, by which a stream may filter, and its event as bytes."""

    position: int
    kind: str
    event: bytes


class Page(NamedTuple):
    """Rows after a position, as one caller may see them. `end` is the last position that was looked at."""

    rows: Sequence[Row]
    end: int


class Source(Protocol):
    """Numbered rows that are only ever added. Both reads ask the database."""

    def read_newest(self) -> int: ...

    def read_page(self, after: int, caller: Caller) -> Page:
        """The next rows, at most some 32 kB of them. Raises an ApiError if they are no longer known."""
        ...

    def name_sight(self, caller: Caller) -> Hashable:
        """Callers with the same name see the same rows."""
        ...


class Channel(Protocol):
    """Where a stream's bytes go. Only the hub's thread calls it, and no call may wait for the client."""

    @property
    def is_open(self) -> bool:
        """False once the client has left."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether the client has read enough to be sent more."""
        ...

    def open(self) -> None: ...

    def write(self, block: bytes) -> None: ...

    def end(self) -> None: ...

    def cut(self) -> None:
        """End it although the client doesn't read."""
        ...


@dataclass(eq=False)
class Stream:
    """Rows after `position`; with `kinds` only those. Times are seconds of the monotonic clock.

    `find_caller` raises an APIException if the caller may no longer have the stream. Streams with the same
    `credentials` have the same caller.
    """

    position: int
    kinds: frozenset[str]
    caller: Caller
    credentials: Hashable
    find_caller: Callable[[], Caller]
    channel: Channel = field(init=False)
    # The position that the client knows.
    told: int = -1
    written_at: float = field(default_factory=time.monotonic)
    checked_at: float = field(default_factory=time.monotonic)
    # Since when the client reads too slowly; None if it doesn't.
    stuck_at: float | None = None

    def open(self) -> None:
        self.channel.open()
        self.write(b"retry: %d\n" % RETRY_MS + self.write_place())

    def give(self, page: Page) -> None:
        wanted = [row for row in page.rows if not self.kinds or row.kind in self.kinds]
        if wanted:
            self.write(b"".join(row.event for row in wanted))
            self.told = wanted[-1].position
        self.position = page.end

    def beat(self) -> None:
        """A comment, so that nobody in between takes the connection for dead, and the position without an event."""
        self.write(b":\n\n" if self.told == self.position else b":\n" + self.write_place())

    def write_place(self) -> bytes:
        self.told = self.position
        return b"id: %d\n\n" % self.position

    def refuse(self, error: APIException) -> None:
        """Say why the stream ends. The client's next request gets the same problem as its answer."""
        self.write(b"event: end\ndata: %s\n\n" % write_json(build_problem(error)))
        self.channel.end()

    def write(self, block: bytes) -> None:
        self.channel.write(block)
        self.written_at = time.monotonic()


def write_event(position: int, row: object) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (position, write_json(row))


class ThreadChannel:
    """The channel of a server without a way to hold a stream: a thread waits for each block, and sends it."""

    # Blocks that wait for a slow client.
    MOST_BLOCKS = 8

    def __init__(self) -> None:
        self.blocks: SimpleQueue[bytes | None] = SimpleQueue()
        self.is_open = True

    @property
    def has_room(self) -> bool:
        return self.blocks.qsize() < self.MOST_BLOCKS

    def open(self) -> None:
        """Nothing to do: the server has sent the head already."""

    def write(self, block: bytes) -> None:
        self.blocks.put(block)

    def end(self) -> None:
        self.is_open = False
        self.blocks.put(None)

    # The thread can't be woken while it sends.
    cut = end

    def read(self) -> Iterator[bytes]:
        while (block := self.blocks.get()) is not None:
            yield block
