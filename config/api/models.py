"""Tables of the server itself: living workers, periodic tasks, stored answers for idempotency keys, saved views.

`Versioned` is the base of all models whose version `If-Match` compares.
"""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

# Seconds between two heartbeats, and without one until a worker counts as gone: three heartbeats.
BEAT_SECONDS = 5
STALE_SECONDS = 15


class Versioned(models.Model):
    """A row whose `version` counts its changes. Only a trigger writes it, never the application."""

    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        abstract = True


class WorkerQuerySet(QuerySet["Worker"]):
    def only_alive(self) -> Self:
        return self.filter(beat_at__gte=timezone.now() - timedelta(seconds=STALE_SECONDS))


class Worker(models.Model):
    """A worker process and the time of its last heartbeat. A worker deletes its row when it stops normally."""

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
        """True for the first caller in a period, by the database's clock. That caller must run the chore."""
        self.get_or_create(name=name)
        due = self.filter(Q(began_at=None) | Q(began_at__lte=Now() - every), name=name)
        # A SELECT first: an UPDATE takes SQLite's only write lock even if it matches no row.
        return due.exists() and bool(due.update(began_at=Now()))

    def withdraw(self, name: str) -> None:
        """Make a failed chore due again."""
        self.filter(name=name).update(began_at=None)


class ChoreRun(models.Model):
    """When any worker last began a chore that has a period."""

    name = models.CharField(max_length=100, primary_key=True)
    began_at = models.DateTimeField(null=True)

    objects = ChoreRunQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


# Hours for which an answer is kept. After them, the same key is a new request.
ANSWER_HOURS = 24
PURGED_AT_ONCE = 1000


class IdempotencyKeyQuerySet(QuerySet["IdempotencyKey"]):
    def purge_some(self) -> int:
        """Delete at most PURGED_AT_ONCE expired keys, oldest first. Returns how many. No lock if there are none."""
        edge = timezone.now() - timedelta(hours=ANSWER_HOURS)
        over = self.filter(created_at__lt=edge).order_by("created_at").values_list("pk", flat=True)
        keys = list(over[:PURGED_AT_ONCE])
        return self.filter(pk__in=keys).delete()[0] if keys else 0


class IdempotencyKey(models.Model):
    """A caller's idempotency key, its request and the answer. Stored in the transaction of the request's effect."""

    # The database deletes a user's keys with the user: there may be thousands.
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
            # The lookup of a repeated request; serves the foreign key too.
            models.UniqueConstraint(fields=("user", "key"), name="idempotency_key_once"),
        )
        # purge_some()
        indexes = (models.Index(fields=("created_at",), name="idempotency_key_by_age"),)

    def __str__(self) -> str:
        return f"{self.key} {self.address}"

    @property
    def is_over(self) -> bool:
        return self.created_at < timezone.now() - timedelta(hours=ANSWER_HOURS)


class SavedView(models.Model):
    """A list of the admin as a user saved it: its search, filters and order."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.DB_CASCADE, related_name="+", db_index=False)
    table = models.CharField(max_length=100, help_text="The list's model, such as catalog.product.")
    name = models.CharField(max_length=60)
    query = models.TextField(default="", blank=True)

    class Meta:
        constraints = (
            # Above the list of its table, by name; serves the foreign key too.
            models.UniqueConstraint(fields=("user", "table", "name"), name="saved_view_once"),
        )

    def __str__(self) -> str:
        return self.name
