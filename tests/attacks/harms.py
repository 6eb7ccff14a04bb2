"""What one connection of a stranger can cost a server, whose port is given: one dear request, a long or a slow one."""

import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Protocol

# Milliseconds: a quarter of a second of the database, and as much of the rest.
MOST_MS = 500
# A socket's buffers, of both sides, take some megabytes that the server never reads.
MOST_MEGABYTES = 16
PIECE = b"x" * 65_536
# A head and a body may take 10 seconds.
MOST_SECONDS = 15
# A client that reads nothing is cut after 30.
MOST_DEAF_SECONDS = 45


@dataclass(frozen=True)
class Sign:
    """What was measured, and the most of it that is no harm."""

    request: str
    measured: float
    most: float
    unit: str

    @property
    def is_hurt(self) -> bool:
        return self.measured > self.most

    def __str__(self) -> str:
        return f"{self.request:<60.60} {self.measured:10.1f} {self.unit} {'HURT' if self.is_hurt else 'ok'}"


class Harm(Protocol):
    def show(self, port: int) -> Iterator[Sign]: ...


@dataclass(frozen=True)
class Dear:
    """A request that keeps the server busy. The least of three times counts, since the machine may be busy itself."""

    make: Callable[[], bytes]

    def show(self, port: int) -> Iterator[Sign]:
        milliseconds = min(self.ask(port) for _ in range(3)) * 1000
        yield Sign(name_request(self.make()), milliseconds, MOST_MS, "ms")

    def ask(self, port: int) -> float:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            began = time.perf_counter()
            with suppress(OSError):  # refused before it was read, or not answered in 20 seconds
                client.sendall(self.make())
                client.recv(1)
            return time.perf_counter() - began


@dataclass(frozen=True)
class Long:
    """The server reads more of a body than it needs to refuse it."""

    beginning: bytes

    def show(self, port: int) -> Iterator[Sign]:
        sent = 0
        with socket.create_connection(("127.0.0.1", port), timeout=2) as client, suppress(OSError):
            client.sendall(self.beginning)
            while sent < 4 * MOST_MEGABYTES * 10**6:
                client.sendall(PIECE)
                sent += len(PIECE)
        yield Sign(name_request(self.beginning), sent / 10**6, MOST_MEGABYTES, "MB")


@dataclass(frozen=True)
class Slow:
    """The beginning of a request after which nothing comes, and for whose rest the server waits."""

    beginning: bytes

    def show(self, port: int) -> Iterator[Sign]:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=2 * MOST_SECONDS) as client, suppress(OSError):
            client.sendall(self.beginning)
            client.recv(1)
        yield Sign(name_request(self.beginning), time.monotonic() - began, MOST_SECONDS, "s")


@dataclass(frozen=True)
class Deaf:
    """Clients that ask for a long answer and read only its head: what the server holds for them, and for how long."""

    request: bytes
    most_megabytes: float
    connections: int = 600

    def show(self, port: int) -> Iterator[Sign]:
        with ExitStack() as held:
            asked = [self.ask(port, held) for _ in range(self.connections)]
            yield Sign(name_request(self.request), sum(size for _, size in asked) / 10**6, self.most_megabytes, "MB")
            began = time.monotonic()
            while (lasted := time.monotonic() - began) < MOST_DEAF_SECONDS and any(map(is_open, asked)):
                time.sleep(0.5)  # polls: only its closed connection tells that a client was cut
            yield Sign(name_request(self.request), lasted, MOST_DEAF_SECONDS - 1, "s")

    def ask(self, port: int, held: ExitStack) -> tuple[socket.socket, int]:
        """The connection, and the bytes that it is promised; 0 if it is refused."""
        client = held.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", port))
        client.sendall(self.request)
        head = client.recv(2048).lower()
        length = re.search(rb"content-length: (\d+)", head)
        return client, int(length[1]) if length and head.startswith(b"http/1.1 200") else 0


def is_open(asked: tuple[socket.socket, int]) -> bool:
    """Whether the server still holds an answer for this connection. Nothing is read meanwhile."""
    client, size = asked
    ends = select.poll()
    ends.register(client, 0)
    return size > 0 and not ends.poll(0)


def name_request(request: bytes) -> str:
    return request.decode(errors="replace").partition(" HTTP/")[0]
