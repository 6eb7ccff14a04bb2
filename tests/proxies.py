"""A TCP proxy in front of Redis or PostgreSQL, with which a test simulates network faults."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Self

from tests.services import free_port

CHUNK_BYTES = 64 * 1024
# Seconds until a waiting thread notices that the fault has changed or the test has ended.
LOOK_SECONDS = 0.02


class Fault(Enum):
    NONE = "none"
    REFUSED = "refused"  # nothing listens, and open connections are reset
    HUNG = "hung"  # connections are accepted, but no byte passes
    SLOW = "slow"  # SLOW_SECONDS of delay in each direction
    TRICKLE = "trickle"  # one byte a second in each direction


SLOW_SECONDS = 0.05


class FaultProxy:
    """`with FaultProxy(port) as proxy:` listens on `proxy.port`. Setting `proxy.fault` takes effect at once."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port()
        self.listener: socket.socket | None = None
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        self.lock, self.ended = threading.Lock(), threading.Event()
        self._fault = Fault.NONE

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *failure: object) -> None:
        self.ended.set()
        self.hang_up()

    @property
    def fault(self) -> Fault:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        if fault is Fault.REFUSED:
            self.hang_up()
        elif self.listener is None:
            self.listen()

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        self.fault = fault
        try:
            yield
        finally:
            self.fault = Fault.NONE

    def switch(self, target: int) -> None:
        """Forward to another server from now on, and cut all connections."""
        self.target = target
        self.drop_connections()

    def listen(self) -> None:
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(256)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # closed by hang_up()
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client: socket.socket) -> None:
        while self.fault is Fault.HUNG and not self.ended.is_set():
            time.sleep(LOOK_SECONDS)
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            reset(client)
            return
        with self.lock:
            self.pairs.append((client, server))
        if self.ended.is_set():
            self.drop_connections()  # __exit__ has run already, so it can't drop this pair
        for source, sink in ((client, server), (server, client)):
            with suppress(OSError):  # the pair was dropped meanwhile
                sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    def pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                self.send(sink, data)
        for side in (source, sink):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def send(self, sink: socket.socket, data: bytes) -> None:
        while self.fault is Fault.HUNG and not self.ended.is_set():
            time.sleep(LOOK_SECONDS)
        if self.fault is Fault.SLOW:
            time.sleep(SLOW_SECONDS)
        while self.fault is Fault.TRICKLE and data:
            sink.sendall(data[:1])
            data = data[1:]
            self.ended.wait(1)
        sink.sendall(data)

    def hang_up(self) -> None:
        if self.listener:
            with suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        self.drop_connections()

    def drop_connections(self) -> None:
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for side in pair:
                reset(side)


def reset(side: socket.socket) -> None:
    with suppress(OSError):
        # Linger 0: the other side gets "connection reset", as if the machine had crashed.
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        side.shutdown(socket.SHUT_RDWR)
    side.close()
