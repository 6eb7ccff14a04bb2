"""What a worker does for exports: one step of a job at a time, whichever is next, until there is none.

A task names its job only, so it may come twice, late or not at all: steps are handed out by leases, and whoever
sweeps starts a job that nobody works on again.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.tasks import task
from redis.exceptions import RedisError

from config.api.errors import ApiError
from config.api.leases import STOP, LeaseLost
from config.api.models import Worker
from exports.errors import JobFailure
from exports.models import ExportJob, ExportPart
from exports.parts import write_part
from exports.planning import plan_job
from exports.publishing import publish_job
from exports.states import fail_job

logger = logging.getLogger("tenfold.exports")

# A step that ended so often without a word took its worker with it, as by eating all memory.
GREATEST_CLAIMS = 20
# How long a task goes on before others have their turn: a fork and the queue's own work take 0.2 s a task, a third of
# what a part takes.
TURN_SECONDS = 5.0
# Steps of one job that run side by side, where there are workers for them.
GREATEST_LANES = 16


@task()
def advance_export(job_id: int) -> None:
    """Steps of the job, one after the other: to plan it, to write a part, to publish; the rest is the next task's."""
    end = time.monotonic() + TURN_SECONDS
    while (job := find_job(job_id)) is not None:
        with end_on_error(job):
            if not take_step(job):
                return
        if STOP.has_begun or time.monotonic() >= end:
            push_job(job)
            return


def find_job(job_id: int) -> ExportJob | None:
    found: ExportJob | None = ExportJob.objects.filter(pk=job_id).only_unfinished().select_related("owner").first()
    return found


def take_step(job: ExportJob) -> bool:
    """False where there is nothing to take: others are at it."""
    unfinished = ExportPart.objects.filter(job=job, is_done=False)
    if job.status == ExportJob.Status.RUNNING and (part := unfinished.claim()) is not None:
        part.job = job
        refuse_too_often(part)
        write_part(part)
        return True
    is_whole = job.status == ExportJob.Status.QUEUED or not unfinished.exists()
    return is_whole and take_whole_step(job)


def take_whole_step(job: ExportJob) -> bool:
    """What one worker does for the job as a whole, while no other does."""
    held = ExportJob.objects.filter(pk=job.pk, status=job.status).select_related("owner").claim()
    if held is None:
        return False
    refuse_too_often(held)
    if held.status == ExportJob.Status.QUEUED:
        plan_job(held)
        push_job(held, count_lanes(held) - 1)
    else:
        publish_job(held)
    return True


def refuse_too_often(row: ExportJob | ExportPart) -> None:
    if row.claims > GREATEST_CLAIMS:
        raise TooOften(row)


class TooOften(JobFailure):
    """A step whose claims were never given back, GREATEST_CLAIMS of them."""

    def __init__(self, row: ExportJob | ExportPart) -> None:
        super().__init__(f"{row} was begun {GREATEST_CLAIMS} times and never ended.")


@contextmanager
def end_on_error(job: ExportJob) -> Iterator[None]:
    """A job whose step fails has failed, with a sentence; but for a database that is away, which may be back."""
    try:
        yield
    except LeaseLost as error:
        logger.info("%s", error)
    except DatabaseError:
        raise
    except ApiError as error:
        fail_job(job, f"{error.detail} {error.hint}".strip())
    except OSError as error:
        fail_job(job, f"Its files can't be written or read: {error.strerror or error}.")
    except (JobFailure, PermissionDenied) as error:
        fail_job(job, str(error))
    except Exception:
        logger.exception("%s fails", job)
        fail_job(job, "Something failed on our side; the log has it.")


def count_lanes(job: ExportJob) -> int:
    workers = Worker.objects.only_alive().count()
    return max(1, min(workers, job.parts.count(), GREATEST_LANES))


def push_job(job: ExportJob, lanes: int = 1) -> None:
    """Let so many workers take its next steps; a queue that is away loses nothing, since the sweep pushes again."""
    try:
        with transaction.atomic():
            for _ in range(lanes):
                advance_export.enqueue(job.pk)
    except (RedisError, DatabaseError) as error:
        logger.warning("%s waits for the next sweep: %s", job, error)
