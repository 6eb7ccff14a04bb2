"""A stream of bytes in, packed by gzip or zstd or not at all; the plain bytes out, within fixed bounds.

What unpacks to too much is refused while it unpacks: each read is answered with as many bytes as it asks for, so a
bomb costs the memory of one read and of the packer's window, and the time up to the bound that it breaks first.
"""

import gzip
import zlib
from io import BufferedReader, RawIOBase
from typing import IO, Any

import zstandard
from django.conf import settings

from catalog.imports.errors import BadFile

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
PACKED = (GZIP, ZSTD)
SUFFIXES = (".gz", ".gzip", ".zst", ".zstd")
# A window is the memory that unpacking takes: 8 MiB at zstd -19, 64 MiB with --long=26.
MOST_WINDOW = 64 * 1024 * 1024
# A short file of equal rows may shrink to nothing; a bomb isn't short.
RATIO_FROM = 8 * 1024 * 1024
PIECE = 256 * 1024
LITTLE = 512


class PackedSource(RawIOBase):
    """The packed bytes as they are read, and how many they were."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.stream.read(len(buffer))
        buffer[: len(piece)] = piece
        self.bytes_read += len(piece)
        return len(piece)


class PlainSource(RawIOBase):
    """The unpacked bytes; BadFile where there are too many of them, or the packing is damaged."""

    def __init__(self, packed: PackedSource, name: str) -> None:
        self.packed = packed
        self.name = name
        self.bytes_read = 0
        # Looked at ahead, and read again by whoever unpacks.
        head = BufferedReader(packed, PIECE)
        start = head.peek(4)[:4]
        self.is_packed = start.startswith(PACKED)
        self.source = open_packing(head, start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self.source.read(min(len(buffer), PIECE))
        except (zlib.error, gzip.BadGzipFile, EOFError, zstandard.ZstdError) as error:
            raise BadFile(f"{self.name} can't be unpacked ({error}): pack it anew and send it whole") from None
        self.bytes_read += len(piece)
        if self.is_packed:
            self.check_size()
        buffer[: len(piece)] = piece
        return len(piece)

    def check_size(self) -> None:
        if self.bytes_read > (most := settings.IMPORT_MAX_UNPACKED_BYTES):
            raise BadFile(f"{self.name} unpacks to more than {most:,} bytes: send it in several files")
        ratio = settings.IMPORT_MAX_RATIO
        if self.bytes_read > RATIO_FROM and self.bytes_read > ratio * self.packed.bytes_read:
            raise BadFile(
                f"{self.name} unpacks to more than {ratio} times its size, as no catalogue does: send it unpacked"
            )


class ZstdSource:
    """What `read` unpacks, frame after frame; EOFError where the last one isn't whole.

    zstandard's own reader takes a file that was cut off for a whole one, and its `decompressobj` gives out at once
    whatever its input comes to: so it gets little, of which at the most 128 blocks of 128 KiB come.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.unpacker = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW)
        self.frame: Any = None
        self.left, self.waiting = b"", b""

    def read(self, size: int) -> bytes:
        while not self.waiting and (packed := self.left or self.stream.read(LITTLE)):
            self.frame = self.frame or self.unpacker.decompressobj()
            self.waiting = self.frame.decompress(packed)
            self.left = self.frame.unused_data
            self.frame = None if self.frame.eof else self.frame
        if not self.waiting and self.frame:
            raise EOFError("it ends before its last frame does")
        piece, self.waiting = self.waiting[:size], self.waiting[size:]
        return piece


def open_packing(stream: Any, start: bytes) -> Any:
    if start.startswith(GZIP):
        return gzip.GzipFile(fileobj=stream)
    return ZstdSource(stream) if start == ZSTD else stream


def unpack(stream: IO[bytes], name: str) -> tuple[IO[bytes], PackedSource]:
    """What to read the rows from, and what tells how far the file is read."""
    packed = PackedSource(stream)
    return BufferedReader(PlainSource(packed, name), PIECE), packed


def drop_packing(name: str) -> str:
    """`products.csv.gz` -> `products.csv`, whose suffix tells the format."""
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name
