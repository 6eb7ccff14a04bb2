"""What a worker does for imports, and how a job gets to one; whoever sweeps finds what a lost worker left."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from django.tasks import task
from redis.exceptions import RedisError

from catalog.errors import ImportsWaiting
from catalog.imports.errors import BadFile
from catalog.imports.jobs import drop_file, fail_job, run_job
from catalog.models import ImportJob
from config.api.errors import ApiError
from config.api.leases import LeaseLost, LeaseReturned
from config.api.models import JobQuerySet

logger = logging.getLogger("tenfold.imports")

# A job that was begun so often and never ended took its workers with it, as by eating all memory.
GREATEST_CLAIMS = 20
SWEPT_AT_ONCE = 50
# How long a job and its errors are remembered.
REMEMBERED = timedelta(days=30)


def submit_job(job: ImportJob) -> ImportJob:
    """The job in the queue; ImportsWaiting where its owner has enough there already."""
    return job.submit(check_quota, push_job)


def check_quota(held: JobQuerySet) -> None:
    if held.only_unfinished().count() >= (most := settings.IMPORT_QUOTA_JOBS):
        raise ImportsWaiting(most)


def push_job(job: ImportJob) -> None:
    """Let a worker take it; a queue that is away loses nothing, since the sweep pushes again."""
    try:
        with transaction.atomic():
            advance_import.enqueue(job.pk)
    except (RedisError, DatabaseError) as error:
        logger.warning("%s waits for the next sweep: %s", job, error)


@task()
def advance_import(job_id: int) -> None:
    """Import, or go on with, the job's file. A task may come twice or late: the lease lets one worker at it."""
    unfinished = ImportJob.objects.filter(pk=job_id).only_unfinished().select_related("owner")
    if (job := unfinished.claim()) is None:
        return
    with end_on_error(job):
        if job.claims > GREATEST_CLAIMS:
            raise BadFile(f"{job} was begun {GREATEST_CLAIMS} times and never ended.")
        if not run_job(job):
            push_job(job)


@contextmanager
def end_on_error(job: ImportJob) -> Iterator[None]:
    """A job that fails has failed, with a sentence; but for a database that is away, which may be back."""
    try:
        yield
    except LeaseReturned:
        push_job(job)
    except LeaseLost as error:
        logger.info("%s", error)
    except DatabaseError:
        # Before the lease is over, where the database still takes it.
        with suppress(DatabaseError, LeaseLost):
            job.release()
        raise
    except (BadFile, PermissionDenied) as error:
        fail_job(job, reason=str(error))
    except ApiError as error:
        fail_job(job, reason=str(error.detail))
    except OSError as error:
        fail_job(job, reason=f"Its file can't be read: {error.strerror or error}.")
    except Exception:
        logger.exception("%s fails", job)
        fail_job(job, reason="Something failed on our side; the log has it.")


def sweep_imports() -> None:
    """Start lost jobs again, drop files of jobs that are over, forget what is long over."""
    waited = Now() - timedelta(seconds=settings.JOB_LEASE_SECONDS)
    lost = ImportJob.objects.filter(pushed_at__lt=waited).only_unfinished().only_free()
    for job in lost.order_by("pk")[:SWEPT_AT_ONCE]:
        # Of many workers that sweep, one pushes: for the others it isn't long ago any more.
        if lost.filter(pk=job.pk).update(pushed_at=Now()):
            push_job(job)
    over = ImportJob.objects.only_over()
    for job in over.exclude(file="")[:SWEPT_AT_ONCE]:
        drop_file(job)
    forgotten = over.filter(finished_at__lt=Now() - REMEMBERED).values_list("pk", flat=True)[:SWEPT_AT_ONCE]
    ImportJob.objects.filter(pk__in=list(forgotten)).delete()
