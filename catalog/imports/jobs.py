"""A job in, the rows of its file in the catalogue out: one transaction for each batch and its checkpoint.

If a worker is killed, its current batch is rolled back, and the job's row names the batch before. The worker that takes
the job over continues after that batch: no row is lost, none is written twice, and the counts are right.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone

from catalog.imports.errors import Refusal
from catalog.imports.mending import RefusedRows
from catalog.imports.models import ImportJob, RefusedRow
from catalog.imports.options import Options
from catalog.imports.previews import Preview
from catalog.imports.readers import check_text, open_source
from catalog.imports.records import Record
from catalog.imports.report import Outcome, Report
from catalog.imports.runs import ImportRun, follow_run
from catalog.imports.uploads import Upload
from config.api.database.leases import STOP
from config.api.jobs.files import open_range
from config.api.jobs.running import write_as

logger = logging.getLogger("tenfold.imports")

# A job stores at most this many errors, but counts all: a file with more is wrong as a whole.
MOST_KEPT_ERRORS = 100_000
# After so many seconds a step ends and another task continues, since queues limit the time of a task (RQ: one hour).
# Each step first reads the earlier rows again, so shorter steps would cost more.
STEP_SECONDS = 3_000.0


def find_format(upload: Upload, options: Options) -> str:
    """The stored file's format: the one in `options`, else guessed. Raises BadFile if it can't be imported."""
    with open_range(upload.file, 0, upload.size) as stream:
        check_text(stream, upload.name, options)
    with open_range(upload.file, 0, upload.size) as stream:
        return ImportRun(open_source(stream, upload.name, options), options).report.format


def preview_upload(upload: Upload, options: Options, user: Any) -> dict[str, Any]:
    """What an import of the stored file by this user would do. It has passed `find_format`."""
    with open_range(upload.file, 0, upload.size) as stream:
        return Preview(open_source(stream, upload.name, options), options).act_for(user).look()


def run_job(job: ImportJob) -> None:
    """Import the job's file, or as much of it as fits into one step. The caller holds the job's lease."""
    end = time.monotonic() + STEP_SECONDS
    with write_as(job):
        job.begin()
        for report in follow_run(partial(open_run, job)):
            if time.monotonic() > end and not (job.dry_run or report.is_whole):
                return
        finish_job(job, report)


@contextmanager
def open_run(job: ImportJob) -> Iterator[ImportRun]:
    with open_range(job.file, 0, job.size) as stream:
        yield (DryJobRun if job.dry_run else JobRun)(job, stream).act_for(job.owner)


class JobRun(ImportRun):
    """A run that continues after the checkpoint in the job's row, and writes its progress there."""

    def __init__(self, job: ImportJob, stream: Any) -> None:
        self.job = job
        options = Options(format=job.format, map=job.map, **job.options)
        source = open_source(stream, job.name, options)
        report = restore_report(job, Report(file=job.name, dry_run=job.dry_run))
        super().__init__(source, options, report=report, checkpoint=self.keep)
        self.refused = RefusedRows(job, self.source)

    def read_groups(self) -> Iterator[list[Record]]:
        return self.refused.watch(super().read_groups())

    def watch_rows(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in super().watch_rows(records):
            # For each row, not for each batch: a run that continues may read millions of rows before its first batch.
            STOP.check()
            yield record

    def keep(self, outcome: Outcome, report: Report) -> None:
        """Write the checkpoint. Raises LeaseLost if another worker has the job; then the batch is rolled back too."""
        keep_errors(self.job, outcome.errors, before=report.errors_total - len(outcome.errors))
        self.job.refused.bulk_create(self.refused.take(outcome.errors, report.line))
        self.job.write(**tell_progress(self.job, report), **self.refused.tell())


class DryJobRun(JobRun):
    """A run in one transaction that is rolled back, together with the job's row.

    So another connection writes the progress, and the errors are written after the rollback.
    """

    def __init__(self, job: ImportJob, stream: Any) -> None:
        super().__init__(job, stream)
        self.job_errors: list[Refusal] = []
        self.job_refused: list[RefusedRow] = []
        self.aside = ThreadPoolExecutor(1, thread_name_prefix="progress")
        self.written: Future[None] | None = None

    def keep(self, outcome: Outcome, report: Report) -> None:
        self.job_errors += outcome.errors[: MOST_KEPT_ERRORS - len(self.job_errors)]
        self.job_refused += self.refused.take(outcome.errors, report.line)
        if connection.vendor == "sqlite":
            return  # the run holds the only write lock, so another connection would wait until its end
        if self.written is None or self.written.done():
            self.written = self.aside.submit(write_aside, self.job, tell_progress(self.job, report))

    def take_steps(self) -> Iterator[Report]:
        with self.aside:
            yield from super().take_steps()
        with transaction.atomic():
            self.write_refused()

    def write_refused(self) -> None:
        # A worker that was killed behind this write left its rows, and the run begins again.
        self.job.errors.all().delete()
        self.job.refused.all().delete()
        keep_errors(self.job, self.job_errors, before=0)
        self.job.refused.bulk_create(self.job_refused)
        self.job.write(**self.refused.tell())


def restore_report(job: ImportJob, report: Report) -> Report:
    """The report as of the last checkpoint. A dry run keeps nothing, so it begins again."""
    if job.report and not job.dry_run:
        report.take_over(job.report)
        report.rows, report.line, report.errors_total = job.rows_done, job.line, job.errors_total
        if job.started_at:
            report.seconds = (timezone.now() - job.started_at).total_seconds()
    return report


def tell_progress(job: ImportJob, report: Report) -> dict[str, Any]:
    """The progress of a running job, as values for its row."""
    return tell_counts(report) | job.measure_progress(min(1.0, report.bytes / job.size))


def tell_counts(report: Report) -> dict[str, Any]:
    return {
        "rows_done": report.rows,
        "bytes": report.bytes,
        "line": report.line,
        "report": report.count_all(),
        "errors_total": report.errors_total,
    }


def write_aside(job: ImportJob, values: dict[str, Any]) -> None:
    """Write the progress. Runs in a thread, so on another connection than the run."""
    try:
        type(job).objects.filter(pk=job.pk, fence=job.fence).update(**values)
    except DatabaseError as error:
        logger.debug("The progress of %s isn't written: %s", job, error)
    finally:
        connections.close_all()


def keep_errors(job: ImportJob, errors: Sequence[Refusal], before: int) -> None:
    room = max(0, MOST_KEPT_ERRORS - before)
    job.errors.bulk_create(make_refusal(job, error) for error in errors[:room])


def make_refusal(job: ImportJob, error: Refusal) -> Any:
    parts = {name: getattr(error, name) for name in ("line", "key", "reason", "column", "value", "rule", "remedy")}
    return job.errors.model(job=job, **parts)


def finish_job(job: ImportJob, report: Report) -> None:
    values = tell_counts(report) | {"bytes": job.size, "rows_total": report.rows, "format": report.format}
    values |= {"unread_columns": report.unread_columns, "guessed": report.guessed}
    job.finish(**values)
