"""One life cycle for all jobs: the states and the ways between them, progress, and what is left at each end.

queued ─> running ─> ready ─> expired
   └─────────┴─────> failed, canceled

A kind of job is a subclass: it adds the request's fields, sets `kind`, `right` and `kept`, and overrides the methods
in which it differs.
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

from config.api.access.permissions import Caller
from config.api.database.leases import ClaimedRow, ClaimedRowQuerySet
from config.api.jobs.files import remove_file

logger = logging.getLogger("tenfold.jobs")

# How long the row of a job that is over is kept.
REMEMBERED = timedelta(days=30)


class JobFailure(Exception):
    """Ends a job as failed; the message is a sentence for its owner. Never an answer to a request."""


class Status(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


UNFINISHED = (Status.QUEUED, Status.RUNNING)
# The states from which a job may come to each state. None leads out of failed, canceled and expired.
SOURCES: Mapping[str, tuple[str, ...]] = {
    Status.RUNNING: (Status.QUEUED,),
    Status.READY: (Status.RUNNING,),
    Status.FAILED: UNFINISHED,
    Status.CANCELED: UNFINISHED,
    Status.EXPIRED: (Status.READY,),
}
# The fields that a job's owner sees, in addition to its key and status.
PROGRESS = (
    "rows_done", "rows_total", "bytes", "percent", "seconds_left", "error", "created_at", "started_at", "finished_at",
)  # fmt: skip


class JobQuerySet(ClaimedRowQuerySet):
    def visible_to(self, caller: Caller) -> Self:
        """The caller's own jobs; none if the caller lacks the permission that the jobs need."""
        return self.filter(owner_id=caller.pk) if caller.has_perm(self.model.right) else self.none()

    def only_unfinished(self) -> Self:
        return self.filter(status__in=UNFINISHED)

    def only_over(self) -> Self:
        return self.exclude(status__in=UNFINISHED)

    def only_before(self, status: str) -> Self:
        """Jobs that may come to `status` next."""
        return self.filter(status__in=SOURCES[status])

    def only_lost(self) -> Self:
        """Jobs whose task or worker is gone: nobody holds them, and nobody has pushed them for JOB_LEASE_SECONDS."""
        waited = Now() - timedelta(seconds=settings.JOB_LEASE_SECONDS)
        return self.only_unfinished().only_free().filter(pushed_at__lt=waited)

    def only_untidy(self) -> Self:
        """Jobs that are over and still have a file that must be deleted."""
        over = self.only_over().exclude(file="")
        return over.exclude(status=Status.READY) if self.model.kept else over

    def only_stale(self) -> Self:
        """Ready jobs whose files have expired."""
        return self.filter(status=Status.READY, expires_at__lt=Now()) if self.model.kept else self.none()

    def only_forgotten(self) -> Self:
        """Jobs that have been over for REMEMBERED, or whose owner is gone."""
        return self.only_over().filter(Q(finished_at__lt=Now() - REMEMBERED) | Q(owner=None))


class Job(ClaimedRow):
    """Work that outlasts a request. A process holds the row's lease while it works on the job as a whole."""

    Status = Status

    # The kind's name in the log and in errors: "export", "import".
    kind: ClassVar[str]
    # The permission that the owner needs to see the job, and that workers need to go on with it.
    right: ClassVar[str]
    # How long a ready job's file is kept; None if a job that is over has no file.
    kept: ClassVar[timedelta | None] = None

    # A job outlives its owner by moments: the sweep needs the row to find the job's files.
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
    # When its tasks were last put into the queue; the sweep does so again if nobody has worked on it since.
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
        """Make the first write of a step; the first step of all starts the job."""
        if self.status == Status.QUEUED:
            values |= {"status": Status.RUNNING, "started_at": timezone.now()}
        self.write(**values)

    def finish(self, **values: Any) -> None:
        """Make the holder's last write: the job is ready, and files that it doesn't need any more are deleted."""
        now = timezone.now()
        self.release(
            status=Status.READY, percent=100, seconds_left=0, finished_at=now,
            expires_at=now + self.kept if self.kept else None, **values,
        )  # fmt: skip
        self.log("ready", rows=self.rows_done, bytes=self.bytes)
        self.tidy_or_wait()

    def find_held(self, values: Mapping[str, Any]) -> Any:
        held: Any = super().find_held(values)
        # Nobody holds a job that is over: not even the process that finished it may change it.
        return held.only_before(values["status"]) if "status" in values else held.only_unfinished()

    def measure_progress(self, share: float) -> dict[str, Any]:
        """Values for an UPDATE: `percent` and `seconds_left` when `share` of the work (0 to 1) is done."""
        share = min(share, 0.99)  # the status tells that it is done
        spent = (timezone.now() - self.started_at).total_seconds() if self.started_at else 0.0
        left = round(spent * (1 - share) / share) if share > 0 and self.started_at else None
        return {"percent": int(share * 100), "seconds_left": left}

    # -- how it ends otherwise: one UPDATE that only a job in the right state matches, then its files go

    def cancel(self) -> bool:
        """End the job; false if it was over already."""
        return self.end(Status.CANCELED)

    def fail(self, reason: str) -> bool:
        """End the job; false if it was over already."""
        return self.end(Status.FAILED, reason)

    def end(self, status: str, reason: str = "") -> bool:
        """End the job, also while a worker holds it: the worker gets LeaseLost at its next write, and cleans up."""
        values = {"status": status, "error": reason, "finished_at": timezone.now(), "seconds_left": None}
        if not self.find_row().only_before(status).revoke(**values):
            return False
        self.status, self.error = status, reason
        self.log(status, reason=reason)
        self.tidy_or_wait()
        return True

    def expire(self) -> None:
        """Delete the files, then change the status: if a file can't be deleted now, the next sweep tries again."""
        self.delete_files()
        self.find_row().only_before(Status.EXPIRED).update(status=Status.EXPIRED, file="", expires_at=Now())

    def discard(self) -> None:
        """Delete the files, then the row: if a file can't be deleted now, the next sweep tries again."""
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

    def require_owner(self, *rights: str) -> Any:
        """The owner; PermissionDenied if they are gone, inactive, or lack one of the permissions."""
        if self.owner is None or not self.owner.is_active or not self.owner.has_perms(rights):
            raise PermissionDenied(f"Its owner may not {self.kind} any more.")
        return self.owner

    # -- what a kind may do its own way

    def check_quota(self, held: JobQuerySet) -> None:
        """Raise an ApiError if the owner may have no more jobs; `held` are the owner's jobs of this kind."""

    def claim_step(self) -> ClaimedRow | None:
        """The row of the next step, which the caller holds from now on; None if other workers hold all steps."""
        row: ClaimedRow | None = self.find_row().filter(status=self.status).select_related("owner").claim()
        return row

    def count_lanes(self) -> int:
        """How many workers may take steps of this job at the same time."""
        return 1

    def tidy(self) -> None:
        """Delete the files that a finished job doesn't need any more. Raises OSError if the storage is away."""
        if not (self.kept and self.status == Status.READY):
            self.delete_files()
            self.find_row().update(file="")

    def delete_files(self) -> None:
        """Delete all files of the job; OSError if the storage is away."""
        remove_file(self.file)
