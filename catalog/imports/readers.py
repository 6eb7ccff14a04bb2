"""A stream of bytes in, compressed or not, a source of records out. Bytes and name tell the kind of the file.

What can't be read raises BadFile: it names what the file is, and what to do.
"""

from pathlib import PurePath
from typing import IO, Any

from django.utils.module_loading import import_string

from catalog.imports.encodings import check_encoding, find_encoding
from catalog.imports.errors import BadFile
from catalog.imports.formats.all import is_known_column
from catalog.imports.lines import Lines
from catalog.imports.options import Options
from catalog.imports.records import Notes, Source
from catalog.imports.tables import open_csv
from catalog.imports.trees import is_document, open_json, read_document, read_ndjson
from catalog.imports.unpacking import Unpacked, unpack
from catalog.imports.xmls import is_xml, open_xml

# By name, and loaded when a file needs them: openpyxl and pyarrow would take memory in each process of the server.
OPENERS = {"xlsx": "catalog.imports.sheets.open_xlsx", "parquet": "catalog.imports.parquets.open_parquet"}
AS_CSV = "save the table as CSV (UTF-8) or .xlsx"
# The first bytes of files of other kinds, and the names of these kinds.
FOREIGN = (
    (b"\x1f\x8b", "compressed twice: compress it once, with gzip or zstd"),
    (b"\x28\xb5\x2f\xfd", "compressed twice: compress it once, with gzip or zstd"),
    (b"PK\x03\x04", "compressed twice: compress it once, with gzip, zstd or zip"),
    (b"BZh", "compressed with bzip2: use gzip, zstd or zip"),
    (b"\xfd7zXZ", "compressed with xz: use gzip, zstd or zip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: use gzip, zstd or zip"),
    (b"Rar!", "a RAR archive: use gzip, zstd or zip"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        f"an old Excel file (.xls), a workbook with a password, or another file of old Office: {AS_CSV}",
    ),
    (b"%PDF", f"a PDF, which has no columns: {AS_CSV}"),
    (b"{\\rtf", f"a text document (RTF): {AS_CSV}"),
    (b"SQLite format 3", "an SQLite database: export its table as CSV"),
    (b"\x89PNG", "a picture: send a file of products that names it"),
    (b"\xff\xd8\xff", "a picture: send a file of products that names it"),
    (b"GIF8", "a picture: send a file of products that names it"),
    (b"RIFF", "a picture, a sound or a film: send a file of products that names it"),
    (b"ARROW1", "an Arrow file (Feather): save the table as Parquet"),
    (b"ORC", "an ORC file: save the table as Parquet"),
    (b"Obj\x01", "an Avro file: save the table as Parquet"),
    (b"ID;P", f"a table in Microsoft's format SYLK (.slk): {AS_CSV}"),
    (b"MIME-Version:", f"a web page in an archive (MHTML), as some programs write for .xls: {AS_CSV}"),
    (b"%!PS", f"a PostScript file, which has no columns: {AS_CSV}"),
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file itself with git lfs pull"),
)
# Signs below the blank that a text may have: TAB, LF, VT, FF, CR, and 0x1A at its end.
NO_TEXT = bytes({*range(32)} - {9, 10, 11, 12, 13, 26})
# The first bytes that tell a text from other data, and the most such signs among them.
TEXT_START, MOST_ODD = 1_000, 0.1
PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<table", b"<meta")
# The place and the mark of a tar archive.
TAR = (257, b"ustar")
START = 8_192


def open_source(stream: IO[bytes], name: str, options: Options = Options()) -> Source:  # noqa: B008 (frozen)
    """Open a file. Raises BadFile."""
    options.check()
    unpacked = unpack(stream, name)
    notes = Notes()
    if unpacked.kind == "xlsx":
        columns, records = load_opener("xlsx", name)(unpacked.stream, name, make_known(options), notes)
    elif unpacked.kind == "parquet":
        columns, records = load_opener("parquet", name)(unpacked.stream, name)
    else:
        return open_text(unpacked, name, options, notes)
    return Source(name, unpacked.kind, dict.fromkeys(columns), records, unpacked.packed, notes)


def load_opener(kind: str, name: str) -> Any:
    try:
        return import_string(OPENERS[kind])
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        raise BadFile(
            f"{name} is a file of the type {kind}, for which this server lacks the package {package}: run"
            f" .venv/bin/python -m pip install {package} there and restart it, or send the table as CSV"
        ) from error


def open_text(unpacked: Unpacked, name: str, options: Options, notes: Notes) -> Source:
    start = read_start(unpacked.stream)
    encoding = find_encoding(start, options.encoding)
    refuse_foreign(start, name, encoding)
    if is_xml(start, encoding):
        return Source(name, "xml", *open_xml(unpacked.stream, name), unpacked.packed, notes)
    if not encoding.startswith("utf-8") and not options.encoding:
        notes.guess("encoding", encoding, "the file's first bytes are of this encoding")
    lines = Lines(unpacked.stream, encoding)
    kind = find_kind(unpacked.name, lines, name, options)
    if kind == "csv":
        header, records = open_csv(lines, name, make_known(options), notes)
        return Source(name, kind, dict.fromkeys(header), records, unpacked.packed, notes)
    records = read_ndjson(lines) if kind == "ndjson" else read_document(lines, notes)
    return Source(name, kind, *open_json(records, name), unpacked.packed, notes)


def check_text(stream: IO[bytes], name: str, options: Options) -> None:
    """Read the whole file once, before its first row is imported. Raises BadFile if its text has another encoding."""
    options.check()
    unpacked = unpack(stream, name)
    if unpacked.kind == "text":
        start = read_start(unpacked.stream)
        encoding = find_encoding(start, options.encoding)
        refuse_foreign(start, name, encoding)
        if not is_xml(start, encoding):
            check_encoding(unpacked.stream, name, encoding)


def read_start(stream: Any) -> bytes:
    """The first bytes, which stay to be read."""
    start: bytes = stream.peek(START)[:START]
    return start


def refuse_foreign(start: bytes, name: str, encoding: str) -> None:
    if not start.strip():
        raise BadFile(f"{name} or its first line is empty: a CSV begins with its column names, NDJSON with a row")
    for mark, sentence in FOREIGN:
        if start.startswith(mark):
            raise BadFile(f"{name} is {sentence}")
    if start[TAR[0] :].startswith(TAR[1]):
        raise BadFile(f"{name} is a tar archive: send the file inside, plain or compressed with gzip, zstd or zip")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(PAGES):
        raise BadFile(f"{name} is a web page (HTML), as some programs write for .xls: {AS_CSV}")
    if encoding.startswith("utf-8") and is_data(start[:TEXT_START]):
        raise BadFile(f"{name} isn't a text, nor a file of another type that is read here: {AS_CSV}")


def is_data(start: bytes) -> bool:
    return len(start) - len(start.translate(None, NO_TEXT)) > MOST_ODD * len(start)


def find_kind(inner: str, lines: Lines, name: str, options: Options) -> str:
    lines.skip_blank()
    first = lines.peek()
    if not first:
        raise BadFile(f"{name} or its first line is empty: a CSV begins with its column names, NDJSON with a row")
    if options.format in ("csv", "ndjson", "json"):
        return options.format
    suffix = PurePath(inner).suffix.lower()
    if suffix in (".ndjson", ".jsonl") and any(map(is_object, first)):
        return "ndjson"
    if is_document(first):
        return "json"
    return "ndjson" if first[0].lstrip().startswith("{") else "csv"


def is_object(line: str) -> bool:
    text = line.strip()
    return text.startswith("{") and text.endswith("}")


def make_known(options: Options) -> Any:
    """Whether a cell of a first row may be a column's name: some format knows it, or `map` names it."""
    mapped = {part.strip() for pair in options.map.split(",") for part in pair.partition("=")[2].split("/")}
    return lambda cell: cell.strip() in mapped or is_known_column(cell)
