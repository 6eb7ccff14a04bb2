"""A stream of bytes in, plain or packed with gzip, zstd or zip; the plain bytes out, within limits of size and ratio.

The limits are checked while the file is decompressed, and each read returns only as many bytes as it asked for. So a
decompression bomb costs the memory of one read and one window, and the time until it reaches the first limit.

Zip archives, workbooks and Parquet files are read from their end, so a stream that can't seek is copied to a temporary
file first.
"""

import gzip
import zlib
from dataclasses import dataclass
from io import BufferedRandom, BufferedReader, RawIOBase
from pathlib import PurePath
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any
from weakref import finalize
from zipfile import BadZipFile, ZipFile, ZipInfo

import zstandard
from django.conf import settings

from catalog.imports.errors import BadFile

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
PACKED = (GZIP, ZSTD)
# Files that are read from their end. The second is an empty zip archive.
ZIP, PARQUET = (b"PK\x03\x04", b"PK\x05\x06"), b"PAR1"
SUFFIXES = (".gz", ".gzip", ".zst", ".zstd", ".zip")
# Files inside a zip archive that tell what it is, and the names of other kinds.
WORKBOOK = "xl/workbook.xml"
ARCHIVES = {
    "xl/workbook.bin": "a binary Excel workbook (.xlsb)",
    "word/document.xml": "a Word document",
    "ppt/presentation.xml": "a PowerPoint presentation",
    "content.xml": "an OpenDocument file",
    "Index/Document.iwa": "a Numbers or Pages document",
}
AS_XLSX = "save its table as .xlsx, or as CSV (UTF-8)"
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

    def seekable(self) -> bool:
        return bool(getattr(self.stream, "seekable", bool)())

    def seek(self, offset: int, whence: int = 0) -> int:
        self.stream.seek(offset, whence)
        return self.stream.tell()

    def tell(self) -> int:
        return self.stream.tell()

    def readinto(self, buffer: Any) -> int:
        piece = self.stream.read(len(buffer))
        buffer[: len(piece)] = piece
        self.bytes_read += len(piece)
        return len(piece)


class PlainSource(RawIOBase):
    """The plain bytes. Raises BadFile if there are too many of them, or if the compressed data is damaged."""

    def __init__(self, packed: PackedSource, source: Any, name: str, *, is_packed: bool) -> None:
        self.packed = packed
        self.name = name
        self.bytes_read = 0
        self.source = source
        self.is_packed = is_packed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self.source.read(min(len(buffer), PIECE))
        except (zlib.error, gzip.BadGzipFile, BadZipFile, EOFError, zstandard.ZstdError) as error:
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


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The plain bytes, and the source that counts the stored ones. `kind` is text, xlsx or parquet."""

    stream: IO[bytes]
    packed: PackedSource
    name: str
    kind: str = "text"


def unpack(stream: IO[bytes], name: str) -> Unpacked:
    packed = PackedSource(stream)
    # `peek` leaves the bytes in the buffer, for the decompressor.
    head = BufferedReader(packed, PIECE)
    start = head.peek(4)[:4]
    if start.startswith(PARQUET):
        return Unpacked(find_seekable(head), packed, name, "parquet")
    if start in ZIP:
        return open_archive(find_seekable(head), packed, name)
    plain = PlainSource(packed, open_packing(head, start), name, is_packed=start.startswith(PACKED))
    return open_plain(BufferedReader(plain, PIECE), packed, drop_packing(name))


def open_plain(plain: Any, packed: PackedSource, name: str) -> Unpacked:
    """What was packed: a text, or a workbook or Parquet file, which is copied to be read from its end."""
    start = plain.peek(4)[:4]
    if not is_archive(start):
        return Unpacked(plain, packed, name)
    copy = find_seekable(plain)
    if start.startswith(PARQUET):
        return Unpacked(copy, packed, name, "parquet")
    return Unpacked(copy, packed, name, "xlsx" if is_workbook(copy) else "text")


def is_archive(start: bytes) -> bool:
    """Whether a file that begins with these bytes is read from its end."""
    return start[:4] in ZIP or start.startswith(PARQUET)


def is_workbook(file: Any) -> bool:
    try:
        return WORKBOOK in ZipFile(file).namelist()
    except BadZipFile:
        return False
    finally:
        file.seek(0)


class Copy(BufferedRandom):
    """A temporary file that goes with its last reference: its reader has no end that somebody would tell it."""

    def __del__(self) -> None:
        self.close()


def find_seekable(head: Any) -> Any:
    if head.seekable():
        return head
    copy = Copy(TemporaryFile(buffering=0))  # noqa: SIM115 (see Copy)
    # In a circle of references the file inside may go first, which is a warning. This keeps it until then.
    finalize(copy, copy.raw.close)
    copyfileobj(head, copy, PIECE)
    copy.seek(0)
    return copy


def open_archive(file: Any, packed: PackedSource, name: str) -> Unpacked:
    """The workbook, or the only file of the archive. Raises BadFile for all other archives."""
    try:
        archive = ZipFile(file)
    except (BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadFile(f"{name} is a zip archive or an Excel workbook, but damaged ({error}): send it again") from None
    names = set(archive.namelist())
    if WORKBOOK in names:
        return Unpacked(file, packed, name, "xlsx")
    for inner, what in ARCHIVES.items():
        if inner in names:
            raise BadFile(f"{name} is {what}: {AS_XLSX}")
    member = find_only_file(archive, name)
    try:
        source = archive.open(member)
    except (BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise BadFile(f"{name} is a zip archive that can't be unpacked ({error}): send the file inside") from None
    plain = PlainSource(packed, source, name, is_packed=True)
    return open_plain(BufferedReader(plain, PIECE), packed, drop_packing(PurePath(member.filename).name))


def find_only_file(archive: ZipFile, name: str) -> ZipInfo:
    # macOS adds a folder of its own and hidden files, Windows others.
    files = [
        member
        for member in archive.infolist()
        if not (member.is_dir() or member.filename.startswith("__MACOSX/") or is_hidden(member.filename))
    ]
    if len(files) != 1:
        inside = ", ".join(member.filename[:60] for member in files[:3])
        what = f"has {len(files):,} files ({inside}{', …' if len(files) > 3 else ''})" if files else "is empty"
        raise BadFile(f"{name} is a zip archive that {what}: send one file, or an archive with one")
    if files[0].flag_bits & 1:
        raise BadFile(f"{name} is a zip archive with a password: send it without")
    return files[0]


def is_hidden(path: str) -> bool:
    return PurePath(path).name.startswith(".") or PurePath(path).name.lower() in ("thumbs.db", "desktop.ini")


def drop_packing(name: str) -> str:
    """`products.csv.gz` -> `products.csv`, whose suffix tells the format."""
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name
