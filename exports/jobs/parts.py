"""A part of a job in, a file with its rows out. If a part runs twice, it is written twice but counted once."""

import logging
import time
from typing import Any

from django.db.models import Sum

from config.api.database.leases import STOP
from config.api.database.replicas import read_at_least
from config.api.database.wal_positions import read_written_position
from config.api.jobs.files import discard_if_lost, write_file
from exports.formats.packers import PACKERS, Piece
from exports.jobs.requests import build_query
from exports.models import ExportJob, ExportPart
from exports.rows.chunks import read_chunks

logger = logging.getLogger("tenfold.exports")

# Seconds between two reports of a part's progress.
REPORT_SECONDS = 1.0


def write_part(part: ExportPart) -> None:
    """Write the part. The caller holds its lease, which is released at the end. Raises LeaseLost if it was lost."""
    packer, piece = PACKERS[part.job.compression](), Piece()
    # The name has the fence, so a worker that lost the part writes into a file that no row will name.
    name = f"{part.job_id}/{part.number:05}.{part.fence}.part"
    reported = time.monotonic()
    # Replicas must have all changes before the feed's cursor, also if the primary fails meanwhile.
    with read_at_least(read_written_position()), write_file(name) as file:
        rows = size = 0
        for chunk in read_chunks(build_query(part.job), part.after, part.upto):
            STOP.check()
            piece.add(chunk.data)
            size += file.write(packed := packer.pack(chunk.data)) or len(packed)
            rows += chunk.rows
            if time.monotonic() - reported >= REPORT_SECONDS:
                report_part(part, rows_done=rows, bytes=size)
                reported = time.monotonic()
        file.write(end := packer.flush())
        done = {"rows_done": rows, "bytes": size + len(end), "plain_bytes": piece.size, "crc32": piece.crc32}
        part.write(**done)
    with discard_if_lost(name):
        part.release(is_done=True, file=name, **done)
    logger.info("export part", extra={"export": part.job_id, "part": part.number, "rows": rows})
    report_job(part.job)


def report_part(part: ExportPart, **done: Any) -> None:
    part.write(**done)
    report_job(part.job)


def report_job(job: ExportJob) -> None:
    """Update the progress of a running job from its parts."""
    sums = job.parts.aggregate(rows=Sum("rows_done"), bytes=Sum("bytes"))
    share = sums["rows"] / job.rows_total if job.rows_total else 0
    values = {"rows_done": sums["rows"], "bytes": sums["bytes"], **job.measure_progress(share)}
    ExportJob.objects.filter(pk=job.pk, status=ExportJob.Status.RUNNING).update(**values)
