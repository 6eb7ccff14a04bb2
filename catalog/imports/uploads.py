"""A request's body in, a file in the storage out. It is streamed, never held in memory, and its size is limited.

Compressed bytes are also decompressed while they are stored, only to count the plain bytes: a decompression bomb is an
error before it becomes a job. All servers and workers can reach the storage. Each upload has its own folder.
"""

import hashlib
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from secrets import token_hex
from typing import IO, Any

from django.conf import settings
from django.http import UnreadablePostError

from catalog.imports.errors import BadFile
from catalog.imports.unpacking import PIECE, is_archive, unpack
from config.api.jobs.files import write_file
from config.api.problems.errors import BodyTooLarge

FOLDER = "imports"
SMALLER = "Compress it with gzip or zstd, or send it in several files."


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored file. `name` is the sender's file name, `file` the path in the storage, `size` in bytes as stored."""

    name: str
    file: str
    size: int
    digest: bytes


class Copying(RawIOBase):
    """Passes on what it reads, and writes a copy to `aside`. Raises BodyTooLarge beyond IMPORT_MAX_BYTES."""

    def __init__(self, stream: Any, aside: IO[bytes]) -> None:
        self.stream = stream
        self.aside = aside
        self.size = 0
        self.hash = hashlib.blake2b(digest_size=32)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self.stream.read(min(len(buffer), PIECE))
        except UnreadablePostError as error:
            raise BadFile("the file was cut off: send it again") from error
        self.size += len(piece)
        if self.size > (most := settings.IMPORT_MAX_BYTES):
            raise BodyTooLarge(most, SMALLER)
        self.hash.update(piece)
        self.aside.write(piece)
        buffer[: len(piece)] = piece
        return len(piece)


def store_upload(stream: Any, name: str, length: int | None = None) -> Upload:
    """Store `stream`. Raises BadFile or BodyTooLarge if it is beyond a limit or damaged; then nothing is stored.

    `length` is the Content-Length, if known. A shorter body was cut off, and is a BadFile.
    """
    # Its own folder, which is deleted with it.
    file = f"{FOLDER}/{token_hex(16)}/upload"
    with write_file(file) as aside:
        copy = Copying(stream, aside)
        head = BufferedReader(copy, PIECE)
        # An archive is unpacked from its end, so only once it is stored: by the check of its format.
        plain = head if is_archive(head.peek(4)[:4]) else unpack(head, name).stream
        while plain.read(PIECE):
            pass
        if length is not None and copy.size < length:
            raise BadFile(f"{name} was cut off after {copy.size:,} of {length:,} bytes: send it again")
        if not copy.size:
            raise BadFile(f"{name} is empty: send the file itself, as --data-binary @FILE does")
    return Upload(name, file, copy.size, copy.hash.digest())
