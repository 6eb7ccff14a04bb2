"""Reads a request's body before the request takes a slot, so that a slow client holds up nobody."""

from __future__ import annotations

from io import BufferedReader, BytesIO, RawIOBase
from typing import IO, Any

type Environ = dict[str, Any]

# Bytes. A larger body, such as an import's, isn't read into memory.
AHEAD_BYTES = 256 * 1024


def has_body(environ: Environ) -> bool:
    return environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ


def read_ahead(environ: Environ) -> bool:
    """Read the body into memory; false if it is larger than AHEAD_BYTES. If its length says so, nothing is read."""
    length: str = environ.get("CONTENT_LENGTH", "")
    if length.isdigit() and int(length) > AHEAD_BYTES:
        return False
    stream = environ["wsgi.input"]
    head = read_at_most(stream, int(length) if length.isdigit() else AHEAD_BYTES + 1)
    is_whole = len(head) <= AHEAD_BYTES
    environ["wsgi.input"] = BytesIO(head) if is_whole else BufferedReader(Body(BytesIO(head), stream))
    return is_whole


def read_at_most(stream: IO[bytes], size: int) -> bytes:
    """Up to `size` bytes, in several reads, since a server may return a chunk at a time."""
    body = b""
    while len(body) < size and (piece := stream.read(size - len(body))):
        body += piece
    return body


class Body(RawIOBase):
    """A body as one file: the bytes that were read ahead, then the rest."""

    def __init__(self, head: IO[bytes], rest: IO[bytes]) -> None:
        super().__init__()
        self.head, self.rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.head.read(len(buffer)) or self.rest.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
