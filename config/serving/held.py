"""Streams of Server-Sent Events that hold no thread. granian's answer to one waits in a greenlet, and uses no CPU.

granian sends a WSGI body by a loop that asks for block after block, in the request's thread. Here this loop runs in a
greenlet of the hub's thread instead: where it asks for a block and there is none, the thread leaves it and goes on with
the other streams. 400 streams cost two threads, 20 kB each, and 3 microseconds for each block (granian 2.8.7).

The loop waits if the client is slow, and would then hold up all streams. So a stream that has been sent more than
GRACE_BYTES is sent more only if the kernel holds less than ROOM_BYTES for its connection. granian doesn't tell which
connection that is; SocketFinder finds it out.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from granian.server import mp
from greenlet import getcurrent, greenlet

from config.api.push.responses import HOLDS_STREAMS, Pushed
from config.process.connections import count_queued, count_written, find_sockets

# Each client's window and the server's buffers hold so many bytes, even if it reads nothing.
GRACE_BYTES = 32 * 1024
# A block that is written while the kernel holds less than this leaves granian's buffer at once.
ROOM_BYTES = 64 * 1024
# The rounds that a connection must match, each by 12 random bits, and the seconds between two.
ROUNDS = 4
MOST_ROUNDS = 40
ROUND_SECONDS = 0.02
GREATEST_PAD = 4096


class Held:
    """The channel of a stream to one client of granian; `protocol` is granian's object for the answer."""

    def __init__(self, protocol: Any, status: int, headers: list[tuple[str, str]], environ: Mapping[str, Any]) -> None:
        self.protocol, self.status, self.headers = protocol, status, headers
        self.finder = SocketFinder(int(environ["SERVER_PORT"]))
        # A body for HTTP/1.0, which nginx speaks by default, has no chunks.
        self.count: Callable[[bytes], int] = count_framed if environ["SERVER_PROTOCOL"] == "HTTP/1.1" else len
        self.socket: socket.socket | None = None
        # The bytes that were written, and when: seconds of the monotonic clock.
        self.size, self.written_at = 0, 0.0
        self.ended = False

    # -- what granian calls, in the greenlet

    def send(self) -> None:
        self.protocol.response_iter(self.status, self.headers, self)

    def __next__(self) -> bytes:
        block: bytes | None = self.thread.switch()
        if block is None:
            raise StopIteration
        return block

    def close(self) -> None:
        """The answer has ended, or the client has left."""
        self.ended = True
        if self.socket:
            self.socket.close()

    # -- what the hub calls, in its thread

    def open(self) -> None:
        self.thread: Any = getcurrent()
        self.loop = greenlet(self.send)
        self.loop.switch()

    @property
    def is_open(self) -> bool:
        return not self.ended

    @property
    def has_room(self) -> bool:
        if self.size < GRACE_BYTES:
            return True
        if self.socket is None:
            self.find_socket()
        return self.socket is not None and count_queued(self.socket) < ROOM_BYTES

    def write(self, block: bytes) -> None:
        if self.is_open:
            self.size += self.count(block)
            self.written_at = time.monotonic()
            self.loop.switch(block)

    def end(self) -> None:
        if self.is_open:
            self.loop.switch(None)

    def cut(self) -> None:
        if self.socket:
            with suppress(OSError):  # the client has left meanwhile
                self.socket.shutdown(socket.SHUT_RDWR)
        self.end()

    def find_socket(self) -> None:
        """A step of the search. Until it succeeds, which takes some turns of the hub, the client gets no events."""
        settled = self.written_at + ROUND_SECONDS
        if time.monotonic() < settled:
            return  # the last bytes may not have reached the kernel
        self.socket = self.finder.look(self.size, WRITTEN.count(self.finder.port, settled))
        if self.finder.rounds > MOST_ROUNDS:
            self.end()  # the client comes again, and has its GRACE_BYTES again
        elif self.socket is None:
            self.write(make_pad())


class Written:
    """The bytes that the kernel has taken for each connection, by inode. All searches of a turn use the same count."""

    def __init__(self) -> None:
        self.port, self.counted_at = 0, 0.0
        self.counts: dict[int, int] = {}

    def count(self, port: int, after: float) -> dict[int, int]:
        """Counts from after that time of the monotonic clock."""
        if port != self.port or self.counted_at < after:
            self.port, self.counted_at = port, time.monotonic()
            self.counts = {inode: count_written(found) for inode, found in find_sockets(port)}
        return self.counts


class SocketFinder:
    """Finds the connection that gets exactly the bytes of a stream.

    It differs from the stream by the same number of bytes in ROUNDS rounds, between which a comment of random length is
    sent. A wrong one would be judged slow or cut by mistake, but never be written to.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.offsets: dict[int, int] = {}
        self.matched = self.rounds = 0

    def look(self, size: int, counts: Mapping[int, int]) -> socket.socket | None:
        """The connection, as a duplicate, if it is found. `size` is what the stream has been sent."""
        self.rounds += 1
        now = {inode: count - size for inode, count in counts.items()}
        kept = {inode: offset for inode, offset in now.items() if self.offsets.get(inode) == offset}
        self.matched = self.matched + 1 if kept else 0
        self.offsets = kept or now
        return self.copy(*kept) if self.matched >= ROUNDS and len(kept) == 1 else None

    def copy(self, wanted: int) -> socket.socket | None:
        return next((found.dup() for inode, found in find_sockets(self.port) if inode == wanted), None)


WRITTEN = Written()


def count_framed(block: bytes) -> int:
    """The bytes of a block as a chunk of a chunked body."""
    return len(f"{len(block):x}") + 2 + len(block) + 2


def make_pad() -> bytes:
    """A comment of a length that nobody can guess."""
    return b":%s\n\n" % (b" " * secrets.randbelow(GREATEST_PAD))


# -- granian's side ----------------------------------------------------------------------------------------------


class Answering:
    """granian's object for an answer, but a `Pushed` body goes to its hub, and the request's thread is free."""

    __slots__ = ("environ", "protocol", "response_bytes")

    def __init__(self, protocol: Any, environ: dict[str, Any]) -> None:
        self.protocol, self.response_bytes, self.environ = protocol, protocol.response_bytes, environ

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        if isinstance(body.inner, Pushed):
            body.inner.attach(Held(self.protocol, status, headers, self.environ))
        else:
            self.protocol.response_iter(status, headers, body)


def hold_streams() -> None:
    """Let this process, a web worker of granian, hold streams. Call it once, before it serves."""
    server: Any = mp
    wrap = server._wsgi_call_wrap

    def wrap_holding(*arguments: Any) -> Any:
        answer = wrap(*arguments)

        def run(protocol: Any, environ: dict[str, Any]) -> Any:
            environ[HOLDS_STREAMS] = True
            return answer(Answering(protocol, environ), environ)

        return run

    server._wsgi_call_wrap = wrap_holding
