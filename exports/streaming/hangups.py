"""Cuts the client's connection when a stream fails. Otherwise the server would end the failed body cleanly.

granian 2.8 ignores exceptions of a WSGI iterable and then writes the terminating chunk, so half a CSV would look
complete. It doesn't tell which socket belongs to a request. But the kernel counts the bytes written to each socket, and
only the failed stream's socket got exactly its bytes. This works on Linux only; elsewhere nothing is cut.
"""

import socket
import time

from config.process.connections import count_written, find_sockets

# The most bytes of status line and headers before the body. Ours have about 900.
HEAD_BYTES = 4096
# The most bytes of a chunk's frame: its length in hexadecimal and two line ends.
FRAME_BYTES = 12

# The most bytes that granian's queue and hyper's buffer hold for a slow client: generously more than four chunks.
HELD_BYTES = 2 * 1024 * 1024
# The seconds that those bytes may take to reach the kernel. The thread waits meanwhile, as it would while sending.
WAIT_SECONDS = 5.0


class ClientConnection:
    """The connection of the current request: the one that later has got exactly the bytes passed to `add`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.before = {inode: count_written(found) for inode, found in find_sockets(port)}
        self.size = self.chunks = 0

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self.chunks += 1

    def cut(self) -> int:
        """Shut the connection down after it got all added bytes. Returns how many connections matched, usually 1."""
        end = time.monotonic() + (WAIT_SECONDS if self.before else 0)
        while not (number := self.shut_down(self.size)) and time.monotonic() < end:
            time.sleep(0.01)  # the server's threads write, and nothing tells when they are done
        return number or self.shut_down(max(1, self.size - HELD_BYTES))

    def shut_down(self, least: int) -> int:
        most = self.size + self.chunks * FRAME_BYTES + HEAD_BYTES
        number = 0
        for inode, found in find_sockets(self.port):
            # A connection that was opened later isn't ours.
            if inode in self.before and least <= count_written(found) - self.before[inode] <= most:
                found.shutdown(socket.SHUT_RDWR)
                number += 1
        return number
