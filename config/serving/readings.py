"""Limits the time for reading a body. A client that is too slow loses its connection.

Only the end of its connection can wake a thread that waits for a body, and granian doesn't tell which connection that
is. But the kernel tells when each connection last received and sent data. The one to cut comes from the client's
address, and has owed an answer for as long as the body is being read. If several match, they have all waited as long,
and one is cut at a time. This works on Linux only; elsewhere a thread waits without a limit.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import RawIOBase
from typing import IO, Any, NamedTuple

from config.api.problems.errors import BodyTooSlow
from config.process.connections import find_sockets
from config.serving.shares import Share

type Environ = dict[str, Any]

# A body may take BODY_SECONDS, and one second more for each BYTES_A_SECOND received. It is read in blocks.
BODY_SECONDS = 10
BYTES_A_SECOND = 16 * 1024
BLOCK_BYTES = 16 * 1024
# The seconds for a body while other bodies of its share get 503.
HURRY_SECONDS = 2
# Seconds between two checks of the connections.
LOOK_SECONDS = 0.5
# A connection matches a reading if it owes an answer since at most so many seconds before the reading began, or after.
EARLIER_SECONDS, LATER_SECONDS = 5.0, 1.5
# Two measurements of the same time of the kernel may differ by so many seconds.
TICK_SECONDS = 0.1

# The offsets of tcpi_last_data_sent and tcpi_last_data_recv in Linux's struct tcp_info. Both are milliseconds ago.
TIMES = struct.Struct("@44xI4xI")


class Reading(RawIOBase):
    """A body as a file. Reading raises BodyTooSlow if its time is over. Times are of the monotonic clock."""

    def __init__(self, environ: Environ, share: Share[int]) -> None:
        super().__init__()
        self.stream: IO[bytes] = environ["wsgi.input"]
        self.address = str(environ.get("REMOTE_ADDR", ""))
        self.port = int(environ.get("SERVER_PORT") or 0)
        self.share, self.began, self.size = share, time.monotonic(), 0

    @property
    def is_late(self) -> bool:
        now = time.monotonic()
        patience = HURRY_SECONDS if now - self.share.refused_at < HURRY_SECONDS else BODY_SECONDS
        return now > self.began + patience + self.size / BYTES_A_SECOND

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.take(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def take(self, most: int) -> bytes:
        """The next bytes, at most `most`; b"" at the body's end."""
        wanted = min(most, BLOCK_BYTES)
        with WATCH.follow(self):
            piece = self.stream.read(wanted)
        self.size += len(piece)
        # A cut connection looks like the end of the body.
        if len(piece) < wanted and self.is_late:
            raise BodyTooSlow(BODY_SECONDS, BYTES_A_SECOND)
        return piece


class Times(NamedTuple):
    """When the server last sent data on a connection, and since when it owes an answer; None if it owes none."""

    address: str
    sent: float
    since: float | None


class Watch:
    """A thread that cuts the connections of late readings. It runs only while there are readings."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.readings: set[Reading] = set()
        self.times: dict[int, Times] = {}
        self.is_running = False

    @contextmanager
    def follow(self, reading: Reading) -> Iterator[None]:
        """Watch `reading` during the block, in which its thread waits for the client."""
        with self.lock:
            self.readings.add(reading)
            if not self.is_running:
                self.is_running = True
                threading.Thread(target=self.run, name="slow-bodies", daemon=True).start()
        try:
            yield
        finally:
            with self.lock:
                self.readings.discard(reading)

    def run(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            with self.lock:
                readings = list(self.readings)
                if not readings:
                    self.times, self.is_running = {}, False
                    return
            self.look(readings)

    def look(self, readings: Sequence[Reading]) -> None:
        """Note which connections owe an answer. Cut one connection for each late reading."""
        ports = {reading.port for reading in readings}
        self.times = {
            inode: read_times(found, self.times.get(inode)) for port in ports for inode, found in find_sockets(port)
        }
        late = sorted((reading for reading in readings if reading.is_late), key=lambda reading: reading.began)
        suspects = Suspects(self.times) if late else None
        if suspects and (chosen := {suspects.take(reading) for reading in late}):
            cut({inode for inode in chosen if inode is not None}, ports)


def read_times(found: socket.socket, before: Times | None) -> Times:
    """The times of a connection. `before` are those of the last check."""
    now = time.monotonic()
    ago = TIMES.unpack(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TIMES.size))
    sent, received = (now - milliseconds / 1000 for milliseconds in ago)
    since = None
    if received > sent:
        is_same = before is not None and before.since is not None and abs(before.sent - sent) < TICK_SECONDS
        since = before.since if before and is_same else received
    try:
        return Times(str(found.getpeername()[0]), sent, since)
    except OSError:
        return Times("", sent, since)  # it has ended


class Suspects:
    """Connections by address, sorted by time: those that owe an answer by `since`, the others by the last sending.

    The others are suspects too: the answer to the previous request may have been sent after the last byte came.
    """

    def __init__(self, times: Mapping[int, Times]) -> None:
        self.found: dict[tuple[str, bool], list[tuple[float, int]]] = defaultdict(list)
        for inode, (address, sent, since) in times.items():
            self.found[address, since is not None].append((sent if since is None else since, inode))
        for connections in self.found.values():
            connections.sort()

    def take(self, reading: Reading) -> int | None:
        """The inode of a connection that may be the reading's, or None. Each connection is returned only once."""
        for owes in (True, False):
            connections = self.found[reading.address, owes]
            place = bisect_left(connections, (reading.began - EARLIER_SECONDS, 0))
            if place < len(connections) and connections[place][0] < reading.began + LATER_SECONDS:
                return connections.pop(place)[1]
        return None


def cut(chosen: Container[int], ports: Iterable[int]) -> None:
    """End the receiving side of these connections: the reader gets the end of the body, and can still answer."""
    for port in ports:
        for inode, found in find_sockets(port):
            if inode in chosen:
                with suppress(OSError):  # its client has left
                    found.shutdown(socket.SHUT_RD)


WATCH = Watch()
