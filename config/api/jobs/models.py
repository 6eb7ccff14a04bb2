"""One life cycle for all jobs: the states and what leads from one to another, progress, and what each end leaves.

queued ─> running ─> ready ─> expired
   └─────────┴─────> failed, canceled

A kind of job is a subclass: it adds what was asked for, and says in `kind`, `right`, `kept` and the methods that it
overrides where it differs.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from config.api.database.leases import ClaimedRow, ClaimedRowQuerySet
from config.api.jobs.files import remove_file

logger = logging.getLogger("tenfold.jobs")

# How long a job that is over is remembered.
REMEMBERED = timedelta(days=30)


class JobFailure(Exception):
    """Why a job ends as failed, in a sentence for its owner; no answer to a request."""


class Status(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


UNFINISHED = (Status.QUEUED, Status.RUNNING)
# From which states a job comes to a state. None leads out of failed, canceled and expired.
SOURCES: Mapping[str, tuple[str, ...]] = {
    Status.RUNNING: (Status.QUEUED,),
    Status.READY: (Status.RUNNING,),
    Status.FAILED: UNFINISHED,
    Status.CANCELED: UNFINISHED,
    Status.EXPIRED: (Status.READY,),
}
# What the owner of any job sees of it, beside its key and status.
PROGRESS = (
    "rows_done", "rows_total", "bytes", "percent", "seconds_left", "error", "created_at", "started_at", "finished_at",
)  # fmt: skip


class JobQuerySet(ClaimedRowQuerySet):
    def only_unfinished(self) -> Self:
        return self.filter(status__in=UNFINISHED)

    def only_over(self) -> Self:
        return self.exclude(status__in=UNFINISHED)

    def only_before(self, status: str) -> Self:
        """Those that may come to `status` next."""
        return self.filter(status__in=SOURCES[status])

    def only_lost(self) -> Self:
        """Nobody works on them, and nobody pushed them for the time of a lease: their tasks or workers are gone."""
        waited = Now() - timedelta(seconds=settings.JOB_LEASE_SECONDS)
        return self.only_unfinished().only_free().filter(pushed_at__lt=waited)

    def only_untidy(self) -> Self:
        """Over, but whoever ended them didn't get to delete what isn't kept."""
        over = self.only_over().exclude(file="")
        return over.exclude(status=Status.READY) if self.model.kept else over

    def only_stale(self) -> Self:
        """Ready, but the time of their files is over."""
        return self.filter(status=Status.READY, expires_at__lt=Now()) if self.model.kept else self.none()

    def only_forgotten(self) -> Self:
        """Over for a month, or nobody's any more."""
        return self.only_over().filter(Q(finished_at__lt=Now() - REMEMBERED) | Q(owner=None))


class Job(ClaimedRow):
    """Work that outlasts a request. Its lease is for what one process at a time does with the job as a whole."""

    Status = Status

    # What it is called in the log and in refusals: "export", "import".
    kind: ClassVar[str]
    # Without this permission nobody sees a job of theirs, and none is gone on with.
    right: ClassVar[str]
    # How long the file of a ready one is kept; None where a job that is over has no file.
    kept: ClassVar[timedelta | None] = None

    # A job outlives its owner by moments: whoever sweeps finds what it left by the row.
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.DB_SET_NULL, null=True, related_name="+", db_index=False)
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    rows_done = models.PositiveBigIntegerField(default=0)
    rows_total = models.PositiveBigIntegerField(null=True, help_text="Null until it is known.")
    bytes = models.PositiveBigIntegerField(default=0)
    percent = models.PositiveSmallIntegerField(default=0)
    seconds_left = models.PositiveIntegerField(null=True, help_text="An estimate; null where none can be made.")
    error = models.TextField(default="", blank=True, help_text="Why it failed, in a sentence.")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    file = models.CharField(max_length=200, default="", blank=True, help_text="Its name in the storage.")
    # When tasks for it were last put into the queue: who finds it idle since then does it again.
    pushed_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[Any] = JobQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"

    @property
    def is_unfinished(self) -> bool:
        return self.status in UNFINISHED

    # -- what its holder writes

    def begin(self, **values: Any) -> None:
        """The first write of a step: the job is running, since its first one."""
        if self.status == Status.QUEUED:
            values |= {"status": Status.RUNNING, "started_at": timezone.now()}
        self.write(**values)

    def finish(self, **values: Any) -> None:
        """The last write of its holder: the job is ready, and what it needs no more goes."""
        now = timezone.now()
        self.release(
            status=Status.READY, percent=100, seconds_left=0, finished_at=now,
            expires_at=now + self.kept if self.kept else None, **values,
        )  # fmt: skip
        self.log("ready", rows=self.rows_done, bytes=self.bytes)
        self.tidy_or_wait()

    def find_held(self, values: Mapping[str, Any]) -> Any:
        held: Any = super().find_held(values)
        # A job that is over is nobody's, so whoever finished it changes it no more, either.
        return held.only_before(values["status"]) if "status" in values else held.only_unfinished()

    def measure_progress(self, share: float) -> dict[str, Any]:
        """`percent` and `seconds_left` where `share` of the work, from 0 to 1, is done: values for an UPDATE."""
        share = min(share, 0.99)  # the rest is said by the status
        spent = (timezone.now() - self.started_at).total_seconds() if self.started_at else 0.0
        left = round(spent * (1 - share) / share) if share > 0 and self.started_at else None
        return {"percent": int(share * 100), "seconds_left": left}

    # -- how it ends otherwise: one UPDATE that only a job in the right state matches, then its files go

    def cancel(self) -> bool:
        """False where it was over already."""
        return self.end(Status.CANCELED)

    def fail(self, reason: str) -> bool:
        """False where it was over already."""
        return self.end(Status.FAILED, reason)

    def end(self, status: str, reason: str = "") -> bool:
        """Take the job from whoever works on it; they find out at their next write, and remove what they wrote."""
        values = {"status": status, "error": reason, "finished_at": timezone.now(), "seconds_left": None}
        if not self.find_row().only_before(status).revoke(**values):
            return False
        self.status, self.error = status, reason
        self.log(status, reason=reason)
        self.tidy_or_wait()
        return True

    def expire(self) -> None:
        """The file first: one that can't be deleted now is tried again with the next sweep."""
        self.delete_files()
        self.find_row().only_before(Status.EXPIRED).update(status=Status.EXPIRED, file="", expires_at=Now())

    def discard(self) -> None:
        """The row goes last: a file that couldn't be deleted is tried again with it."""
        self.cancel()
        self.delete_files()
        self.delete()

    def tidy_or_wait(self) -> None:
        try:
            self.tidy()
        except OSError as error:
            logger.warning("The files of %s wait for the next sweep: %s", self, error)

    def find_row(self) -> Any:
        return type(self).objects.filter(pk=self.pk)

    def log(self, status: str, **figures: Any) -> None:
        level = logging.WARNING if status == Status.FAILED else logging.INFO
        logger.log(level, self.kind, extra={self.kind: self.pk, "status": status, **figures})

    # -- whose it is

    def require_owner(self, right: str) -> Any:
        """Its owner; PermissionDenied where they are gone, or lost the right."""
        if self.owner is None or not self.owner.is_active or not self.owner.has_perm(right):
            raise PermissionDenied(f"Its owner may not {self.kind} any more.")
        return self.owner

    # -- what a kind may do its own way

    def check_quota(self, held: JobQuerySet) -> None:
        """Raise an ApiError where its owner has enough with the jobs `held`, of the same kind."""

    def claim_step(self) -> ClaimedRow | None:
        """The row of what is to be done next, held by the caller from now on; None where others are at it."""
        row: ClaimedRow | None = self.find_row().filter(status=self.status).select_related("owner").claim()
        return row

    def count_lanes(self) -> int:
        """How many workers may take its steps side by side."""
        return 1

    def tidy(self) -> None:
        """Delete what a job that is over needs no more; OSError where the storage is away."""
        if not (self.kept and self.status == Status.READY):
            self.delete_files()
            self.find_row().update(file="")

    def delete_files(self) -> None:
        """Delete whatever the storage has of the job; OSError where it is away."""
        remove_file(self.file)
