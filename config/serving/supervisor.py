"""granian's supervisor of web workers, changed in three ways.

1. All workers share one listening socket. With granian's one socket for each worker, connections that wait for accept()
   are lost with their worker.
2. Stopping resets no connection. granian resets connections that were just made.
3. A killed worker is started again. granian ends if a worker is killed twice within seconds.
"""

import ctypes
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from granian._granian import SocketHolder
from granian.server.mp import MPServer

from config.process.draining import SIGNAL

# Seconds that accepted connections get to send their first request, and that waiting ones get to be accepted.
SETTLE_SECONDS = 0.1
QUEUE_SECONDS = 2.0

# The bytes of an answer that the kernel takes beyond what it may send; milliseconds without a sign of the client.
UNSENT_BYTES = 32 * 1024
DEAF_MS = 60_000

# A classic BPF program (Linux's <linux/filter.h>) that drops segments with SYN and without ACK: load the byte of the
# flags; keep SYN and ACK; if only SYN is left continue, else skip one step; drop; pass.
DROP_SYN = b"".join(
    struct.pack("HBBI", *step)
    for step in (
        (0x30, 0, 0, 13),
        (0x54, 0, 0, 0x12),
        (0x15, 0, 1, 0x02),
        (0x06, 0, 0, 0),
        (0x06, 0, 0, 0xFFFF_FFFF),
    )
)
SO_ATTACH_FILTER = 26
# The offset of tcpi_unacked, which is the length of a listening socket's queue.
TCPI_UNACKED = struct.Struct("@24xI")


class Supervisor(MPServer):
    """Starts the web workers, and starts failed ones again. Before it stops them, they drain for `drain_seconds`."""

    def __init__(self, *arguments: Any, drain_seconds: float, on_forked: Callable[[], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.drain_seconds, self.on_forked = drain_seconds, on_forked
        self.hurry = threading.Event()

    def _init_shared_socket(self) -> None:
        self.listener = listen(self.bind_addr, self.bind_port, self.backlog)
        self._ssp = self._sso = None
        holder: Any = SocketHolder
        self._shd = holder(self.listener.fileno(), False, self.backlog)

    def _spawn_workers(self, *arguments: Any) -> None:
        super()._spawn_workers(*arguments)
        self.on_forked()

    def signal_handler_interrupt(self, number: int = signal.SIGINT, *arguments: Any) -> None:
        # After Ctrl-C, a closed terminal or a second signal, a person waits for the end: don't drain.
        if number != signal.SIGTERM or self.interrupt_signal:
            self.hurry.set()
        super().signal_handler_interrupt(number, *arguments)

    def _stop_workers(self) -> None:
        self.say_goodbye()
        stop_connects(self.listener)
        super()._stop_workers()
        self.listener.close()

    def say_goodbye(self) -> None:
        """Let the workers drain. They still accept requests: clients learn from the answers that they should leave.

        In a hurry nobody waits for that, but the signal also ends the streams of events, which would hold up the stop.
        """
        for worker in self.wrks:
            if worker.is_alive():
                os.kill(worker.inner.pid, SIGNAL)
        self.hurry.wait(self.drain_seconds)

    def _respawn_workers(self, workers: list[int], *arguments: Any, **options: Any) -> None:
        killed = {index for index in workers if (self.wrks[index].inner.exitcode or 0) < 0}
        super()._respawn_workers(workers, *arguments, **options)
        # granian takes two quick ends in a row as a program that can't start. A kill isn't one.
        for index in killed:
            self.respawned_wrks.pop(index, None)


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """One listening socket for all workers. Another server may listen on the same port."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # Accepted connections inherit it. Without it a body waits until its headers are acknowledged, up to 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "linux":
        # What a client doesn't read stays with its open connection, which unread.py sees; granian closes one whose
        # answer the kernel has taken whole, and the kernel would keep that for minutes.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        if not settings.TRUSTED_PROXIES:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAF_MS)
    listener.bind(address)
    listener.listen(backlog)
    listener.setblocking(False)
    return listener


def stop_connects(listener: socket.socket) -> None:
    """Drop new connection requests, and wait until the queue is empty. Dropped clients try again after a second.

    Closing a listening socket resets the connections in its queue, so the queue must be empty first.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(DROP_SYN)
    steps = len(DROP_SYN) // struct.calcsize("HBBI")
    listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", steps, ctypes.addressof(program)))
    end = time.monotonic() + QUEUE_SECONDS
    while count_queued(listener) and time.monotonic() < end:
        time.sleep(0.005)  # the workers accept, and nothing tells when they have
    time.sleep(SETTLE_SECONDS)


def count_queued(listener: socket.socket) -> int:
    """The number of connections that are not yet accepted."""
    queued: int = TCPI_UNACKED.unpack(listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCPI_UNACKED.size))[0]
    return queued
