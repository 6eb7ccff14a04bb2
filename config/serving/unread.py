"""Bounds what clients leave unread: the bytes of answers, the threads of streams, and the time.

granian holds an answer until its client has taken it, and a stream holds a thread. It doesn't tell which connection an
answer goes to. But the kernel tells what each connection's client has acknowledged, and what still waits for it. Only
Linux does; elsewhere only the number of streams is limited. Behind a proxy all connections come from the proxy, whose
work this is then: it takes answers at once, and may rightly pause a long one.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings

from config.api.problems.errors import Overloaded
from config.api.push.responses import Pushed
from config.metrics import count
from config.process.capacity import MOST_SENT
from config.process.connections import count_acked, count_queued, find_sockets
from config.serving.refusals import Environ, StartResponse, refuse
from config.serving.shares import Share

# The kernel takes a shorter answer whole, so it isn't counted.
SHORT_BYTES = 16 * 1024
# The most bytes of answers to one address that may wait in a process.
MOST_BYTES = 64 * 2**20
# A client must take LEAST_BYTES, or all that waits, within so many seconds; and while its address has MOST_BYTES.
UNREAD_SECONDS = 30
HURRY_SECONDS = 5
LEAST_BYTES = 16 * 1024
# Seconds between two looks at the connections, and the least ones, when requests ask for a look.
LOOK_SECONDS = 1.0
PRESSED_SECONDS = 0.25
# The socket closes at once, and what waits in it is dropped (l_onoff, l_linger).
DROP = struct.pack("ii", 1, 0)


class UnreadAnswers:
    """Wraps `application`, outside everything else. A client that leaves too much unread gets 503."""

    def __init__(self, application: Callable[[Environ, StartResponse], Iterable[bytes]]) -> None:
        self.application = application
        self.streams = Share(range(MOST_SENT))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body: Any = self.application(environ, start_response)
        if isinstance(body, Pushed):  # its hub cuts slow clients
            return body
        try:
            return self.hold(body, environ)
        except Overloaded as overloaded:
            return refuse(overloaded, environ, start_response)

    def hold(self, body: Any, environ: Environ) -> Iterable[bytes]:
        address, port = str(environ.get("REMOTE_ADDR", "")), int(environ.get("SERVER_PORT") or 0)
        if isinstance(body, list):
            if (size := sum(map(len, body))) > SHORT_BYTES and not settings.TRUSTED_PROXIES:
                WATCH.add(address, port, size)
            return body
        with ExitStack() as held:
            if close := getattr(body, "close", None):
                held.callback(close)
            held.enter_context(self.streams.hold(environ))
            if not settings.TRUSTED_PROXIES:
                held.enter_context(WATCH.follow(address, port))
            return Sent(body, held.pop_all())


class Sent:
    """A body that the request's thread sends in pieces, with what it holds until its end."""

    def __init__(self, body: Iterable[bytes], held: ExitStack) -> None:
        self.body, self.held = body, held

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.body)

    def close(self) -> None:
        self.held.close()


@dataclass
class Address:
    """What clients of an address may not have read: an upper bound, since each connection has at most one answer."""

    streams: int = 0
    # The bytes of all its answers since it last had read everything; those of the longest, and those since the look.
    size: int = 0
    longest: int = 0
    new: int = 0
    # Connections with unread bytes at the last look.
    slow: int = 0

    @property
    def unread(self) -> int:
        return min(self.size, self.slow * self.longest + self.new)

    def add(self, size: int) -> None:
        self.size, self.new, self.longest = self.size + size, self.new + size, max(self.longest, size)


class Mark(NamedTuple):
    """How far a client had read at a time: the bytes that it had taken, and those that waited for it."""

    at: float
    acked: int
    queued: int

    def is_passed(self, acked: int) -> bool:
        return acked >= self.acked + min(self.queued, LEAST_BYTES)


class Watch:
    """Knows by address what is unread, and cuts the slow. Its thread runs only while there are answers to watch."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.addresses: dict[str, Address] = {}
        self.marks: dict[int, Mark] = {}
        self.port, self.looked_at = 0, float("-inf")
        self.is_running = False

    def add(self, address: str, port: int, size: int) -> None:
        """Count an answer to this address. Raises Overloaded if too much waits there already."""
        with self.lock:
            found = self.find(address, port)
            if found.unread + size > MOST_BYTES and self.may_look(found):
                self.look()
            if found.slow and found.unread + size > MOST_BYTES:
                raise Overloaded(
                    f"{found.unread >> 20} MiB of answers to {address} wait to be read.", "Read them, then ask again."
                )
            found.add(size)

    def may_look(self, found: Address) -> bool:
        """Say if a look is due. It costs less than 16 MiB of answers, which a fast client takes in a moment."""
        return found.new > MOST_BYTES / 4 or time.monotonic() - self.looked_at > PRESSED_SECONDS

    def follow(self, address: str, port: int) -> ExitStack:
        """Watch this address until the end of the block, in which its client gets a stream."""
        held = ExitStack()
        with self.lock:
            self.find(address, port).streams += 1
        held.callback(self.leave, address)
        return held

    def leave(self, address: str) -> None:
        with self.lock:
            self.addresses[address].streams -= 1

    def find(self, address: str, port: int) -> Address:
        if not self.is_running:
            self.is_running, self.port = True, port
            threading.Thread(target=self.run, name="slow-readers", daemon=True).start()
        return self.addresses.setdefault(address, Address())

    def run(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)  # nothing tells when a client has read
            with self.lock:
                self.look()
                if not self.addresses:
                    self.marks, self.is_running = {}, False
                    return

    def look(self) -> None:
        """See who has something unread; cut those who don't read it, and forget the addresses that have read all."""
        slow: Counter[str] = Counter()
        marks: dict[int, Mark] = {}
        for inode, found in find_sockets(self.port):
            address, queued = find_peer(found), count_queued(found)
            if queued and address in self.addresses:
                slow[address] += 1
                marks[inode] = self.judge(found, self.marks.get(inode), queued, self.addresses[address])
        self.marks, self.looked_at = marks, time.monotonic()
        for address, known in list(self.addresses.items()):
            known.slow, known.new = slow[address], 0
            if not known.slow:
                known.size = known.longest = 0
            if not known.slow and not known.streams:
                del self.addresses[address]

    @staticmethod
    def judge(found: socket.socket, mark: Mark | None, queued: int, address: Address) -> Mark:
        """Cut the connection if its client doesn't read. Returns its mark."""
        now, acked = time.monotonic(), count_acked(found)
        if mark is None or mark.is_passed(acked):
            return Mark(now, acked, queued)
        if now - mark.at > (HURRY_SECONDS if address.unread > MOST_BYTES * 0.9 else UNREAD_SECONDS):
            cut(found)
        return mark


def find_peer(found: socket.socket) -> str:
    with suppress(OSError):  # its client has left
        return str(found.getpeername()[0])
    return ""


def cut(found: socket.socket) -> None:
    """Close the connection, whose client gets nothing more."""
    with suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DROP)
        found.shutdown(socket.SHUT_RDWR)
        count("slow_readers")


WATCH = Watch()
