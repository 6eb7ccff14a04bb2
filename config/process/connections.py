"""The server's own TCP connections, as the kernel counts them. Linux only; elsewhere there are none to find."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

OWN_FILES = Path("/proc/self/fd")


def find_sockets(port: int) -> Iterator[tuple[int, socket.socket]]:
    """This process's connections on `port`, with their inodes; each is a duplicate, closed at the next step."""
    for name in os.listdir(OWN_FILES) if OWN_FILES.exists() else ():
        try:
            # Only sockets are duplicated: to close a duplicate of SQLite's file would drop all its locks.
            if not stat.S_ISSOCK(os.stat(OWN_FILES / name).st_mode):
                continue
            found = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            # It was closed since. If a file took its number, the duplicate stays open, since closing it drops locks.
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
        return False  # it is a listening socket, or its client left
    name: tuple[str, int] = found.getsockname()[:2]
    return name[1] == port
