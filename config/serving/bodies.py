"""A request's body, read before work on it begins, so that a client that is slow to send it holds up nobody."""

from __future__ import annotations

from io import BufferedReader, BytesIO, RawIOBase
from typing import IO, Any

type Environ = dict[str, Any]

# A larger body, such as an import's, isn't kept in memory for this.
AHEAD_BYTES = 256 * 1024


def has_body(environ: Environ) -> bool:
    return environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ


def read_ahead(environ: Environ) -> bool:
    """Whether the whole body is in memory now; one that is known to be large isn't begun."""
    length: str = environ.get("CONTENT_LENGTH", "")
    if length.isdigit() and int(length) > AHEAD_BYTES:
        return False
    stream = environ["wsgi.input"]
    head = read_at_most(stream, int(length) if length.isdigit() else AHEAD_BYTES + 1)
    is_whole = len(head) <= AHEAD_BYTES
    environ["wsgi.input"] = BytesIO(head) if is_whole else BufferedReader(Body(BytesIO(head), stream))
    return is_whole


def read_at_most(stream: IO[bytes], size: int) -> bytes:
    """Up to `size` bytes; a server may hand out a chunk at a time."""
    body = b""
    while len(body) < size and (piece := stream.read(size - len(body))):
        body += piece
    return body


class Body(RawIOBase):
    """What was read ahead, then the rest."""

    def __init__(self, head: IO[bytes], rest: IO[bytes]) -> None:
        super().__init__()
        self.head, self.rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.head.read(len(buffer)) or self.rest.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
