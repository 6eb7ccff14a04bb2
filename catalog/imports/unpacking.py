"""A stream of bytes in, plain or compressed with gzip or zstd; the plain bytes out, within limits of size and ratio.

The limits are checked while the file is decompressed, and each read returns only as many bytes as it asked for. So a
decompression bomb costs the memory of one read and one window, and the time until it reaches the first limit.
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
# The window is the memory that decompression takes: 8 MiB for zstd -19, 64 MiB for --long=26.
MOST_WINDOW = 64 * 1024 * 1024
# The ratio is checked only beyond so many plain bytes: a short file of equal rows may compress to almost nothing.
RATIO_FROM = 8 * 1024 * 1024
# The most bytes of one read.
PIECE = 256 * 1024
# The compressed bytes that zstd gets at once, see ZstdSource.
LITTLE = 512


class PackedSource(RawIOBase):
    """Passes the stored (compressed) bytes on, and counts them."""

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
    """The plain bytes. Raises BadFile if there are too many of them, or if the compressed data is damaged."""

    def __init__(self, packed: PackedSource, name: str) -> None:
        self.packed = packed
        self.name = name
        self.bytes_read = 0
        # `peek` leaves the bytes in the buffer, for the decompressor.
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
            raise BadFile(f"{self.name} can't be decompressed ({error}): compress it again and send it whole") from None
        self.bytes_read += len(piece)
        if self.is_packed:
            self.check_size()
        buffer[: len(piece)] = piece
        return len(piece)

    def check_size(self) -> None:
        if self.bytes_read > (most := settings.IMPORT_MAX_UNPACKED_BYTES):
            raise BadFile(f"{self.name} decompresses to more than {most:,} bytes: send it in several files")
        ratio = settings.IMPORT_MAX_RATIO
        if self.bytes_read > RATIO_FROM and self.bytes_read > ratio * self.packed.bytes_read:
            raise BadFile(
                f"{self.name} decompresses to more than {ratio} times its size; no catalogue does: send it uncompressed"
            )


class ZstdSource:
    """Decompresses zstd, frame after frame. `read` raises EOFError if the last frame isn't complete.

    zstandard's own reader accepts a truncated file. Its `decompressobj` doesn't, but it returns everything that its
    input expands to at once. So it gets LITTLE bytes at a time, which expand to at most 128 blocks of 128 KiB.
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
    """The stream of plain bytes, and the source that counts the stored bytes read."""
    packed = PackedSource(stream)
    return BufferedReader(PlainSource(packed, name), PIECE), packed


def drop_packing(name: str) -> str:
    """`products.csv.gz` -> `products.csv`, whose suffix tells the format."""
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name
