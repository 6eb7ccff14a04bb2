"""Tables of the operation itself: which workers are alive."""

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import QuerySet
from django.utils import timezone

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
