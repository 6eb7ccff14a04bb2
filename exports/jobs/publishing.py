"""All parts of a job in, its file with a checksum out, and the UPDATE that publishes it.

CSV and NDJSON files are the parts' compressed bytes, one part after the other. Parquet and XLSX files are built from
the parts' rows.
"""

import hashlib
from collections.abc import Iterator
from io import RawIOBase
from typing import IO, Any

from django.utils.module_loading import import_string

from config.api.database.leases import STOP
from config.api.jobs.files import discard_if_lost, read_file, write_file
from exports.formats.packers import PACKERS, Packer, Piece
from exports.jobs.formats import JOB_FORMATS
from exports.jobs.requests import build_query
from exports.models import ExportJob, ExportPart, Feed


def publish_job(job: ExportJob) -> None:
    """Publish the job. The caller holds its lease, which is released at the end. The last UPDATE publishes the file."""
    parts = list(job.parts.order_by("number"))
    # The name has the fence, so a worker that lost the job writes into a file that no row will name.
    name = f"{job.pk}/{job.resource}-{job.pk}.{job.fence}.{find_suffix(job)}"
    with write_file(name) as plain:
        file = HashedFile(plain)
        if builder := JOB_FORMATS[job.format].builder:
            import_string(builder)(read_lines(parts), build_query(job), file)
        else:
            join_parts(job, parts, file)
        job.write()
    rows = sum(part.rows_done for part in parts)
    with discard_if_lost(name):
        job.finish(file=name, sha256=file.digest.hexdigest(), bytes=file.size, rows_done=rows, rows_total=rows)


def find_suffix(job: ExportJob | Feed) -> str:
    return f"{JOB_FORMATS[job.format].suffix or job.format}{PACKERS[job.compression].suffix}"


class HashedFile(RawIOBase):
    """Counts and hashes what is written through it. `write` raises if the worker must stop. Closing it doesn't close
    the file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest, self.size = file, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, chunk: Any) -> int:
        STOP.check()
        self.digest.update(chunk)
        self.size += len(chunk)
        self.file.write(chunk)
        return len(chunk)


def join_parts(job: ExportJob, parts: list[ExportPart], file: HashedFile) -> None:
    packer, query = PACKERS[job.compression], build_query(job)
    begin, first = pack_piece(packer, query.format.begin_file(query.columns))
    end, last = pack_piece(packer, query.format.end_file())
    file.write(packer.begin + first)
    for part in parts:
        for chunk in read_file(part.file, 0, part.bytes):
            file.write(chunk)
    file.write(last + packer.end([begin, *(Piece(part.plain_bytes, part.crc32) for part in parts), end]))


def pack_piece(packer: type[Packer], data: bytes) -> tuple[Piece, bytes]:
    """What is before the first row or after the last one, as a piece of its own; no bytes if it is empty."""
    piece, packed = Piece(), packer()
    piece.add(data)
    return piece, packed.pack(data) + packed.flush() if data else b""


def read_lines(parts: list[ExportPart]) -> Iterator[list[bytes]]:
    """The rows of all parts as JSON texts, some hundreds at a time."""
    for part in parts:
        rest = b""
        for chunk in read_file(part.file, 0, part.bytes):
            STOP.check()  # also here, since an XLSX file is written only at the end
            *lines, rest = (rest + chunk).split(b"\n")
            yield lines
        assert not rest, f"{part} ends within a row"
