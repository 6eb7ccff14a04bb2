"""Finds this process's TCP connections. Works on Linux only; elsewhere it finds none."""

import fcntl
import os
import socket
import stat
import struct
import termios
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

OWN_FILES = Path("/proc/self/fd")
# tcpi_bytes_acked in Linux's struct tcp_info, since 4.1.
ACKED = struct.Struct("@120xQ")


def find_sockets(port: int) -> Iterator[tuple[int, socket.socket]]:
    """The inode and a duplicate of each connection of this process on `port`. The next step closes the duplicate."""
    for name in os.listdir(OWN_FILES) if OWN_FILES.exists() else ():
        try:
            # Only sockets are duplicated: closing a duplicate of SQLite's file would drop all its locks.
            if not stat.S_ISSOCK(os.stat(OWN_FILES / name).st_mode):
                continue
            found = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            # The socket was closed meanwhile. If a file has its number now, the duplicate stays open: closing it would
            # drop SQLite's locks.
            continue
        with closing(found):
            if is_connection(found, port):
                yield os.fstat(found.fileno()).st_ino, found


def is_connection(found: socket.socket, port: int) -> bool:
    if found.family not in (socket.AF_INET, socket.AF_INET6) or found.type != socket.SOCK_STREAM:
        return False
    try:
        found.getpeername()
    except OSError:
        return False  # it is a listening socket, or its client has left
    name: tuple[str, int] = found.getsockname()[:2]
    return name[1] == port


def count_written(found: socket.socket) -> int:
    """The bytes written to the socket: those that the client has acknowledged, and those still queued."""
    return count_acked(found) + count_queued(found)


def count_acked(found: socket.socket) -> int:
    """The bytes that the client has acknowledged."""
    acked: int = ACKED.unpack(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, ACKED.size))[0]
    return acked


def count_queued(found: socket.socket) -> int:
    """The bytes that the client hasn't acknowledged yet."""
    queued: int = struct.unpack("@i", fcntl.ioctl(found.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
    return queued
