"""Tables of the operation itself: which workers are alive, when chores ran, what repeated requests were answered.

Also the abstract Job, which exports and imports share: whose it is, how far it is, how it ended.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from config.api.leases import Leased, LeasedQuerySet

# Three beats may be missed before a worker counts as gone.
BEAT_SECONDS = 5
STALE_SECONDS = 15


class WorkerQuerySet(QuerySet["Worker"]):
    def only_alive(self) -> Self:
        return self.filter(beat_at__gte=timezone.now() - timedelta(seconds=STALE_SECONDS))


class Worker(models.Model):
    """A background process and when it was last heard of; its row goes when it stops in order."""

    name = models.CharField(max_length=200, unique=True)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    beat_at = models.DateTimeField(default=timezone.now)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class ChoreRunQuerySet(QuerySet["ChoreRun"]):
    def begin(self, name: str, every: timedelta) -> bool:
        """True for the first caller in a period, which is to run the chore. By the database's clock."""
        self.get_or_create(name=name)
        due = self.filter(Q(began_at=None) | Q(began_at__lte=Now() - every), name=name)
        # Looked at first: an UPDATE takes SQLite's one lock even where it finds nothing.
        return due.exists() and bool(due.update(began_at=Now()))

    def withdraw(self, name: str) -> None:
        """It failed, so it is due again."""
        self.filter(name=name).update(began_at=None)


class ChoreRun(models.Model):
    """When a chore with a period was last begun, by any worker."""

    name = models.CharField(max_length=100, primary_key=True)
    began_at = models.DateTimeField(null=True)

    objects = ChoreRunQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


# How long a repetition is known; after it, the same key is a new request.
ANSWER_HOURS = 24
PURGED_AT_ONCE = 1000


class IdempotencyKeyQuerySet(QuerySet["IdempotencyKey"]):
    def purge_some(self) -> int:
        """Delete up to 1,000 that are over, oldest first; their number. Nothing is locked where none is."""
        edge = timezone.now() - timedelta(hours=ANSWER_HOURS)
        over = self.filter(created_at__lt=edge).order_by("created_at").values_list("pk", flat=True)
        keys = list(over[:PURGED_AT_ONCE])
        return self.filter(pk__in=keys).delete()[0] if keys else 0


class IdempotencyKey(models.Model):
    """A caller's key, the request that it stands for, and the answer, written with the request's effect."""

    # The database deletes them with their user; there may be thousands.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.DB_CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=255)
    address = models.TextField(help_text="Path and parameters.")
    body_hash = models.BinaryField(help_text="BLAKE2b of the body, 32 bytes.")
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)

    objects = IdempotencyKeyQuerySet.as_manager()

    class Meta:
        constraints = (
            # The look-up of each repetition; serves the foreign key too.
            models.UniqueConstraint(fields=("user", "key"), name="idempotency_key_once"),
        )
        # purge_some()
        indexes = (models.Index(fields=("created_at",), name="idempotency_key_by_age"),)

    def __str__(self) -> str:
        return f"{self.key} {self.address}"

    @property
    def is_over(self) -> bool:
        return self.created_at < timezone.now() - timedelta(hours=ANSWER_HOURS)


class JobQuerySet(LeasedQuerySet):
    def only_unfinished(self) -> Self:
        return self.filter(status__in=(Job.Status.QUEUED, Job.Status.RUNNING))

    def only_over(self) -> Self:
        return self.exclude(status__in=(Job.Status.QUEUED, Job.Status.RUNNING))

    def end(self, status: str, reason: str = "") -> int:
        """Take those that are unfinished from whoever works on them; how many they were."""
        values = {"status": status, "error": reason, "finished_at": timezone.now(), "seconds_left": None}
        return self.only_unfinished().revoke(**values)


class Job(Leased):
    """Work that outlasts a request. Its lease is for what one process at a time does with the job as a whole."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        READY = "ready"
        FAILED = "failed"
        CANCELED = "canceled"
        EXPIRED = "expired"

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

    objects: ClassVar[Any] = JobQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"

    @property
    def is_unfinished(self) -> bool:
        return self.status in (Job.Status.QUEUED, Job.Status.RUNNING)

    def submit(self, check_quota: Callable[[Any], None], push: Callable[[Self], None]) -> Self:
        """Into the queue, where `check_quota` raises nothing over the jobs that its owner has."""
        owner = self.owner
        assert owner is not None  # who asks is its owner
        with transaction.atomic():
            # One request of a user at a time: two would both find room for one.
            get_user_model().objects.select_for_update().get(pk=owner.pk)
            check_quota(type(self).objects.filter(owner=owner))
            self.save()
            transaction.on_commit(partial(push, self))
        return self

    def measure_progress(self, share: float) -> dict[str, Any]:
        """`percent` and `seconds_left` where `share` of the work, from 0 to 1, is done: values for an UPDATE."""
        share = min(share, 0.99)  # the rest is said by the status
        spent = (timezone.now() - self.started_at).total_seconds() if self.started_at else 0.0
        left = round(spent * (1 - share) / share) if share > 0 and self.started_at else None
        return {"percent": int(share * 100), "seconds_left": left}
