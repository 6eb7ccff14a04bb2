"""What one connection of a stranger can cost a server, whose port is given: one dear request, a long or a slow one."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

# Milliseconds: a quarter of a second of the database, and as much of the rest.
MOST_MS = 500
# A socket's buffers, of both sides, take some megabytes that the server never reads.
MOST_MEGABYTES = 16
PIECE = b"x" * 65_536
# A head and a body may take 10 seconds.
MOST_SECONDS = 15


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


def name_request(request: bytes) -> str:
    return request.decode(errors="replace").partition(" HTTP/")[0]
