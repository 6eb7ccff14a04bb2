"""Finds this process's TCP connections. Works on Linux only; elsewhere it finds none."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

OWN_FILES = Path("/proc/self/fd")


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
