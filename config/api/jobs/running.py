"""Runs jobs: a worker claims the next step, takes it, and goes on until no step is left.

A task only names its job, so it may come twice, late or not at all: leases hand out the steps, and the sweep starts a
job again on which nobody works.

A kind of job is registered with the function that takes a step:

    @register_job(ExportJob)
    def advance_export(held: ExportJob | ExportPart) -> None: …   # the row that `claim_step()` gave

The decorator makes it a task, which queues know by its path; `submit_job(ExportJob(owner=user, …))` puts it there. A
step begins with `job.begin()`, and the last step ends with `job.finish()`: if a step returns without it, there are
more steps. Between two pieces of its work a step calls `STOP.check()`.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from django.tasks import Task, task
from redis.exceptions import RedisError

from config.api.database.authorship import ACTOR, name_actor
from config.api.database.leases import STOP, ClaimedRow, LeaseLost, keep_lease
from config.api.jobs.chores import register_chore
from config.api.jobs.models import Job, JobFailure
from config.api.problems.errors import ApiError
from config.logs import REQUEST_ID
from config.telemetry.spans import TRACING

logger = logging.getLogger("tenfold.jobs")

# A step that was claimed more often and never ended has killed its workers, for example by taking all memory.
GREATEST_CLAIMS = 20
# How long a task takes steps before it makes room for other jobs. A fork and the queue's own work take 0.2 s a task,
# which is a third of the time of an export's part.
TURN_SECONDS = 5.0
# How many jobs of a kind one sweep handles.
SWEPT_AT_ONCE = 50

type TakeStep = Callable[[Any], None]
type JobTask = Task[[int], None]

# The task of each kind of job.
TASKS: dict[type[Job], JobTask] = {}


def register_job(model: type[Job]) -> Callable[[TakeStep], JobTask]:
    """A decorator: makes a function that takes a step of such a job its task, and lets workers sweep these jobs."""

    def make_task(take_step: TakeStep) -> JobTask:
        @wraps(take_step)
        def advance_job(job_id: int) -> None:
            advance(model, take_step, job_id)

        TASKS[model] = task()(advance_job)
        register_chore(f"sweep {model.kind}s", partial(sweep, model))
        return TASKS[model]

    return make_task


# -- into the queue -----------------------------------------------------------------------------------------------


def submit_job[AnyJob: Job](job: AnyJob) -> AnyJob:
    """Save the job and put it into the queue; an ApiError, and no row, if its owner may have no more jobs."""
    owner = job.owner
    assert owner is not None  # the caller of the request
    with transaction.atomic():
        # One request of a user at a time: two might both pass the quota.
        get_user_model().objects.select_for_update().get(pk=owner.pk)
        job.check_quota(type(job).objects.filter(owner=owner))
        job.save()
        transaction.on_commit(partial(push_job, job))
    return job


def push_job(job: Job, lanes: int = 1) -> None:
    """Queue `lanes` tasks, each for one worker. If the queue is away, the sweep pushes the job later."""
    try:
        with transaction.atomic():
            for _ in range(lanes):
                TASKS[type(job)].enqueue(job.pk)
    except (RedisError, DatabaseError) as error:
        logger.warning("%s waits for the next sweep: %s", job, error)


# -- a worker -----------------------------------------------------------------------------------------------------


def advance(model: type[Job], take_step: TakeStep, job_id: int) -> None:
    """Take steps of the job for TURN_SECONDS; then queue a task for the rest."""
    end = time.monotonic() + TURN_SECONDS
    while (job := find_job(model, job_id)) is not None:
        with end_on_error(job):
            if not claim_and_take(job, take_step):
                return
        if STOP.has_begun or time.monotonic() >= end:
            push_job(job)
            return


def find_job(model: type[Job], job_id: int) -> Job | None:
    found: Job | None = model.objects.filter(pk=job_id).only_unfinished().select_related("owner").first()
    return found


def claim_and_take(job: Job, take_step: TakeStep) -> bool:
    """Claim the next step and take it; false if other workers hold all steps."""
    held = job.claim_step()
    if held is None:
        return False
    refuse_too_often(held)
    job.require_owner(job.right)
    about = {"tenfold.job": name_request(job.kind, job.pk)}
    with keep_lease(held), TRACING.span(f"{job.kind} step", "consumer", about):
        take_step(held)
    return True


@contextmanager
def write_as(job: Job) -> Iterator[None]:
    """In this block the change log names the job's owner as the writer, and the job as the request (`import/7`).

    A client's own request id has no slash.
    """
    assert job.owner is not None  # a job whose owner may no longer do it gets no step
    nobody, nothing = ACTOR.set(""), REQUEST_ID.set(name_request(job.kind, job.pk))
    try:
        name_actor(job.owner)
        yield
    finally:
        ACTOR.reset(nobody)
        REQUEST_ID.reset(nothing)


def name_request(kind: str, key: object) -> str:
    """The request id under which a job writes."""
    return f"{kind}/{key}"


def refuse_too_often(held: ClaimedRow) -> None:
    if held.claims > GREATEST_CLAIMS:
        raise JobFailure(f"{held} was begun {GREATEST_CLAIMS} times and never ended.")


@contextmanager
def end_on_error(job: Job) -> Iterator[None]:
    """End the job as failed, with a sentence, if its step fails.

    If the database is away, the job isn't ended, since the database may come back. Another worker tries the step when
    its lease has ended.
    """
    try:
        yield
    except LeaseLost as error:
        logger.info("%s", error)
    except DatabaseError:
        raise
    except ApiError as error:
        job.fail(f"{error.detail} {error.hint}".strip())
    except OSError as error:
        job.fail(f"Its files can't be written or read: {error.strerror or error}.")
    except (JobFailure, PermissionDenied) as error:
        job.fail(str(error))
    except Exception:
        logger.exception("%s fails", job)
        job.fail("Something failed on our side; the log has it.")


# -- a beat -------------------------------------------------------------------------------------------------------


def sweep(model: type[Job]) -> None:
    """Start lost jobs again; delete files that nobody needs, expired files, and jobs that were over long ago."""
    push_lost(model)
    for job in model.objects.only_untidy()[:SWEPT_AT_ONCE]:
        job.tidy()
    for job in model.objects.only_stale()[:SWEPT_AT_ONCE]:
        job.expire()
    for job in model.objects.only_forgotten()[:SWEPT_AT_ONCE]:
        job.discard()


def push_lost(model: type[Job]) -> None:
    lost = model.objects.only_lost()
    for job in lost.order_by("pk")[:SWEPT_AT_ONCE]:
        # Of many workers that sweep, only one pushes the job: for the others `pushed_at` is new. The database compares
        # the times, since SQLite stores them as text, its own with milliseconds and Python's with microseconds.
        if lost.filter(pk=job.pk).update(pushed_at=Now()):
            push_job(job, job.count_lanes())
