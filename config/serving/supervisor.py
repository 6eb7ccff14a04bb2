"""granian's web workers under our rules: one listening socket, an end that loses no request, and no end by a kill.

granian itself gives each worker a socket of its own, so what waits there for accept() dies with its worker; when it
stops, whoever just connected is reset; and it ends altogether when one worker is killed twice within seconds.
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

from granian._granian import SocketHolder
from granian.server.mp import MPServer

from config.process.draining import SIGNAL

# How long connections that are accepted already may take to send their first request, and those that wait to be.
SETTLE_SECONDS = 0.1
QUEUE_SECONDS = 2.0

# A classic BPF program: segments with SYN and without ACK are dropped, others pass. In Linux's <linux/filter.h>:
# load the byte of the flags; keep SYN and ACK; if only SYN is left go on, else skip one; drop; pass.
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
# tcpi_unacked, which for a listening socket is the length of its queue.
TCPI_UNACKED = struct.Struct("@24xI")


class Supervisor(MPServer):
    """Starts the web workers, starts them again where they fail, and stops them after `drain_seconds` of goodbyes."""

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
        # Ctrl-C, a closed terminal and the second signal are from somebody who waits.
        if number != signal.SIGTERM or self.interrupt_signal:
            self.hurry.set()
        super().signal_handler_interrupt(number, *arguments)

    def _stop_workers(self) -> None:
        if not self.hurry.is_set():
            self.say_goodbye()
        stop_connects(self.listener)
        super()._stop_workers()
        self.listener.close()

    def say_goodbye(self) -> None:
        """Still accepts: whoever sends requests here learns only from these answers that it should stop."""
        for worker in self.wrks:
            if worker.is_alive():
                os.kill(worker.inner.pid, SIGNAL)
        self.hurry.wait(self.drain_seconds)

    def _respawn_workers(self, workers: list[int], *arguments: Any, **options: Any) -> None:
        killed = {index for index in workers if (self.wrks[index].inner.exitcode or 0) < 0}
        super()._respawn_workers(workers, *arguments, **options)
        # Somebody's kill, or the kernel's, isn't a program that can't start, which granian takes two in a row for.
        for index in killed:
            self.respawned_wrks.pop(index, None)


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """One socket for all workers; a server beside this one may have another on the same port."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # What is accepted here inherits it. Without it a body waits until its head is acknowledged, up to 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(address)
    listener.listen(backlog)
    listener.setblocking(False)
    return listener


def stop_connects(listener: socket.socket) -> None:
    """From here on nobody connects; whoever has connected is accepted. Others try again in a second, elsewhere.

    To close a listening socket is to reset those who wait in its queue, so it gets none that wait first.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(DROP_SYN)
    steps = len(DROP_SYN) // struct.calcsize("HBBI")
    listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", steps, ctypes.addressof(program)))
    end = time.monotonic() + QUEUE_SECONDS
    while count_queued(listener) and time.monotonic() < end:
        time.sleep(0.005)  # the workers accept; nothing tells when
    time.sleep(SETTLE_SECONDS)


def count_queued(listener: socket.socket) -> int:
    """Connections that are made and not yet accepted."""
    queued: int = TCPI_UNACKED.unpack(listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCPI_UNACKED.size))[0]
    return queued
