"""A body in, a file in the storage out: never in memory, within its caps, and looked at to its end.

Packed bytes are unpacked while they are stored, and what comes out is only counted: a bomb is refused before it is a
job. The storage is that of all jobs, which every worker and server reaches; uploads lie in a folder of their own.
"""

import hashlib
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from secrets import token_hex
from typing import IO, Any

from django.conf import settings
from django.http import UnreadablePostError

from catalog.imports.errors import BadFile
from catalog.imports.unpacking import PIECE, unpack
from config.api.jobs.files import write_file
from config.api.problems.errors import BodyTooLarge

FOLDER = "imports"
SMALLER = "Pack it by gzip or zstd, or send it in several files."


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it lies in the storage; `name` is its sender's word for it."""

    name: str
    file: str
    size: int
    digest: bytes


class Copying(RawIOBase):
    """Hands on what it reads, and writes it aside; BodyTooLarge past IMPORT_MAX_BYTES."""

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
    """Read `stream` to its end. BadFile or BodyTooLarge where it breaks a cap, and then nothing of it stays.

    `length` is what the client announced: a body that ends before is cut off, and no file.
    """
    # In a folder of its own, which goes with it.
    file = f"{FOLDER}/{token_hex(16)}/upload"
    with write_file(file) as aside:
        copy = Copying(stream, aside)
        plain, _ = unpack(BufferedReader(copy, PIECE), name)
        while plain.read(PIECE):
            pass
        if length is not None and copy.size < length:
            raise BadFile(f"{name} was cut off after {copy.size:,} of {length:,} bytes: send it again")
        if not copy.size:
            raise BadFile(f"{name} is empty: send the file itself, as --data-binary @FILE does")
    return Upload(name, file, copy.size, copy.hash.digest())
