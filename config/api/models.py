"""Tables of the operation itself: which workers are alive, when chores ran, what repeated requests were answered.

`Versioned` is the base of every app's rows that `If-Match` compares.
"""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

# Three beats may be missed before a worker counts as gone.
BEAT_SECONDS = 5
STALE_SECONDS = 15


class Versioned(models.Model):
    """A row whose `version` counts its changes; a trigger writes it, the application never does."""

    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        abstract = True


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
