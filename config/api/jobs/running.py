"""How jobs are done: a step at a time, whichever is next, by whichever worker claims it, until there is none.

A task names its job only, so it may come twice, late or not at all: steps are handed out by leases, and whoever
sweeps starts a job that nobody works on again.

A kind of job is registered with the function that takes a step:

    @register_job(ExportJob)
    def advance_export(held: ExportJob | ExportPart) -> None: …   # the row that `claim_step()` gave

It is the task that queues know by its path then: `submit_job(ExportJob(owner=user, …))` puts it there. A step begins
by `job.begin()`, and the last one ends with `job.finish()`; one that returns without it has more to do. Between two
pieces of its work it asks `STOP.check()`.
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

from config.api.database.leases import STOP, ClaimedRow, LeaseLost, keep_lease
from config.api.jobs.chores import register_chore
from config.api.jobs.models import Job, JobFailure
from config.api.problems.errors import ApiError

logger = logging.getLogger("tenfold.jobs")

# A step that ended so often without a word took its worker with it, as by eating all memory.
GREATEST_CLAIMS = 20
# How long a task goes on before others have their turn: a fork and the queue's own work take 0.2 s a task, a third of
# what a part of an export takes.
TURN_SECONDS = 5.0
# Jobs of each kind that a beat looks after.
SWEPT_AT_ONCE = 50

type TakeStep = Callable[[Any], None]
type JobTask = Task[[int], None]

# The tasks of the kinds of jobs.
TASKS: dict[type[Job], JobTask] = {}


def register_job(model: type[Job]) -> Callable[[TakeStep], JobTask]:
    """Make a function that takes a step of such a job their task; workers look after them from now on."""

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
    """Into the queue, within what its owner may have: else an ApiError, and nothing is kept."""
    owner = job.owner
    assert owner is not None  # who asks is its owner
    with transaction.atomic():
        # One request of a user at a time: two would both find room for one.
        get_user_model().objects.select_for_update().get(pk=owner.pk)
        job.check_quota(type(job).objects.filter(owner=owner))
        job.save()
        transaction.on_commit(partial(push_job, job))
    return job


def push_job(job: Job, lanes: int = 1) -> None:
    """Let so many workers take its next steps; a queue that is away loses nothing, since the sweep pushes again."""
    try:
        with transaction.atomic():
            for _ in range(lanes):
                TASKS[type(job)].enqueue(job.pk)
    except (RedisError, DatabaseError) as error:
        logger.warning("%s waits for the next sweep: %s", job, error)


# -- a worker -----------------------------------------------------------------------------------------------------


def advance(model: type[Job], take_step: TakeStep, job_id: int) -> None:
    """Steps of the job, one after the other, for a turn; the rest is the next task's."""
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
    """False where there is nothing to take: others are at it."""
    held = job.claim_step()
    if held is None:
        return False
    refuse_too_often(held)
    job.require_owner(job.right)
    with keep_lease(held):
        take_step(held)
    return True


def refuse_too_often(held: ClaimedRow) -> None:
    if held.claims > GREATEST_CLAIMS:
        raise JobFailure(f"{held} was begun {GREATEST_CLAIMS} times and never ended.")


@contextmanager
def end_on_error(job: Job) -> Iterator[None]:
    """A job whose step fails has failed, with a sentence; but for a database that is away, which may be back.

    The step's lease goes on then: it is the pause before the next worker tries.
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
    """Start lost jobs again, delete what jobs that are over don't need, let files expire, forget what is long over."""
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
        # Of many workers that sweep, one pushes: for the others it isn't long ago any more. Compared by the database
        # itself, since SQLite's own moments have milliseconds and Python's microseconds, as text.
        if lost.filter(pk=job.pk).update(pushed_at=Now()):
            push_job(job, job.count_lanes())
