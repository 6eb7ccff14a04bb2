"""Export jobs and their parts: the request, the progress, and the path of the file. And feeds, which repeat jobs."""

import secrets
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Sum
from django.db.models.functions import Now
from django.utils import timezone

from catalog.changes.logged import Logged
from catalog.rights import EXPORT
from config.api.access.permissions import Caller
from config.api.database.leases import ClaimedRow, ClaimedRowQuerySet
from config.api.jobs.files import remove_folder
from config.api.jobs.models import Job, JobQuerySet
from config.api.models import Worker
from exports.errors import QuotaReached

# The most steps of one job that run at the same time, if there are enough workers.
GREATEST_LANES = 16


class ExportJobQuerySet(JobQuerySet):
    """Export jobs. Each part of a job has a lease of its own."""

    def only_lost(self) -> Self:
        parts = ExportPart.objects.filter(job=OuterRef("pk"), is_done=False, leased_until__gte=Now())
        return super().only_lost().filter(~Exists(parts))

    def only_unserved(self) -> Self:
        """Jobs whose file no feed serves."""
        return self.filter(~Exists(Feed.objects.filter(job=OuterRef("pk"))))

    def only_stale(self) -> Self:
        return super().only_stale().only_unserved()

    def only_forgotten(self) -> Self:
        return super().only_forgotten().only_unserved()

    def only_untidy(self) -> Self:
        return self.only_over().filter(Exists(ExportPart.objects.filter(job=OuterRef("pk"))))


class ExportJob(Job):
    """A table, or the rows that filters keep, as one file. The job stores the request, never a list of ids."""

    kind = "export"
    # The same permission as for a stream.
    right = EXPORT
    kept = timedelta(days=7)

    class Format(models.TextChoices):
        CSV = "csv", "CSV"
        NDJSON = "ndjson", "NDJSON"
        PARQUET = "parquet", "Parquet"
        XLSX = "xlsx", "XLSX"
        GOOGLE = "google", "Google Merchant Center (RSS)"
        GOOGLE_TSV = "google_tsv", "Google Merchant Center (TSV)"
        AGENTIC = "agentic", "OpenAI's product feed (JSON Lines)"

    class Compression(models.TextChoices):
        NONE = "none"
        GZIP = "gzip"
        ZSTD = "zstd"

    resource = models.CharField(max_length=20)
    format = models.CharField(max_length=10, choices=Format)
    compression = models.CharField(max_length=10, choices=Compression, default=Compression.NONE)
    filters = models.JSONField(default=dict, blank=True, help_text="Parameters of the list, by name.")
    fields = models.TextField(default="", blank=True)
    expand = models.TextField(default="", blank=True)
    raw = models.BooleanField(default=False, help_text="CSV: cells that a spreadsheet would run stay as they are.")
    # Both are set before the first row is read. No part reads rows after `last_id`. A client that follows the change
    # feed from `changes_cursor` misses no change.
    last_id = models.BigIntegerField(null=True)
    changes_cursor = models.BigIntegerField(null=True)
    # Permissions that decided, when it was planned, what the file has: an owner who lost one can't fetch it. Null for a
    # job that isn't planned yet, or that release 1.0 has planned.
    rights = models.JSONField(null=True, editable=False)
    sha256 = models.CharField("SHA-256", max_length=64, default="", blank=True)

    objects: ClassVar[Any] = ExportJobQuerySet.as_manager()

    class Meta:
        logged = Logged("export", only=("finished_at",))
        indexes = (
            # exports/, newest first; serves the foreign key too.
            models.Index(fields=("owner", "-id"), name="export_job_by_owner"),
            # The sweep: unfinished jobs, and ready jobs that expire.
            models.Index(fields=("status", "expires_at"), name="export_job_by_status"),
        )

    def check_quota(self, held: JobQuerySet) -> None:
        ready: Any = held.filter(status=Job.Status.READY)
        ready = ready.only_unserved()
        if (held.only_unfinished() | ready).count() >= (most := settings.EXPORT_QUOTA_JOBS):
            raise QuotaReached(f"{most} export jobs that are unfinished or ready")
        if (ready.aggregate(bytes=Sum("bytes"))["bytes"] or 0) >= settings.EXPORT_QUOTA_BYTES:
            raise QuotaReached(f"export files of {settings.EXPORT_QUOTA_BYTES} bytes or more")

    def claim_step(self) -> ClaimedRow | None:
        """Claim a part; or the whole job, to plan or to publish it. None if there is nothing to claim now."""
        unfinished: Any = self.parts.filter(is_done=False)
        if self.status == Job.Status.RUNNING and (part := unfinished.claim()) is not None:
            held: ExportPart = part
            return held
        is_whole = self.status == Job.Status.QUEUED or not unfinished.exists()
        return super().claim_step() if is_whole else None

    def count_lanes(self) -> int:
        return max(1, min(Worker.objects.only_alive().count(), self.parts.count(), GREATEST_LANES))

    def tidy(self) -> None:
        """Delete the parts, but not the published file. Their rows go last: after a crash, they show what is left."""
        parts: Any = self.parts.all()
        parts.revoke()  # a worker that still writes a part loses its lease before it can mark the part as done
        remove_folder(str(self.pk), keep=self.file)
        parts.delete()

    def delete_files(self) -> None:
        remove_folder(str(self.pk))


class ExportPart(ClaimedRow):
    """A part of an export: rows with `after` < id <= `upto`. One task writes it, and may run again."""

    job = models.ForeignKey(ExportJob, models.DB_CASCADE, related_name="parts", db_index=False)
    number = models.PositiveIntegerField()
    after = models.BigIntegerField()
    upto = models.BigIntegerField()
    is_done = models.BooleanField(default=False)
    file = models.CharField(max_length=200, default="")
    rows_done = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0, help_text="As they lie in the storage.")
    plain_bytes = models.PositiveBigIntegerField(default=0, help_text="Before compression.")
    crc32 = models.PositiveBigIntegerField(default=0, help_text="Of the bytes before compression.")

    objects: ClassVar[Any] = ClaimedRowQuerySet.as_manager()

    class Meta:
        constraints = (
            # Serves the foreign key too.
            models.UniqueConstraint(fields=("job", "number"), name="export_part_once"),
        )

    def __str__(self) -> str:
        return f"part {self.number} of export {self.job_id}"


def make_feed_secret() -> str:
    return secrets.token_urlsafe(24)


class FeedQuerySet(models.QuerySet["Feed"]):
    def visible_to(self, caller: Caller) -> Self:
        """The caller's own feeds."""
        return self.filter(owner_id=caller.pk)


class Feed(models.Model):
    """An export that is made again and again, at a stable address. Each of its files is an export job's.

    Whoever knows the address, which has the secret, can fetch the file, as long as its owner may export.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.DB_CASCADE, related_name="+", db_index=False)
    description = models.CharField(max_length=200, blank=True, default="")
    resource = models.CharField(max_length=20)
    format = models.CharField(max_length=10, choices=ExportJob.Format)
    compression = models.CharField(max_length=10, choices=ExportJob.Compression, default=ExportJob.Compression.NONE)
    filters = models.JSONField(default=dict, blank=True)
    fields = models.TextField(default="", blank=True)
    expand = models.TextField(default="", blank=True)
    raw = models.BooleanField(default=False)
    every = models.PositiveIntegerField(default=60, help_text="Minutes between the beginnings of two files, at least.")
    on_change = models.BooleanField(default=False, help_text="Make a file only if something has changed.")
    secret = models.CharField(max_length=40, default=make_feed_secret, editable=False)
    # The job whose file is served, and the one that makes the next file.
    job = models.ForeignKey(ExportJob, models.DB_SET_NULL, null=True, blank=True, related_name="served_by")
    next_job = models.ForeignKey(ExportJob, models.DB_SET_NULL, null=True, blank=True, related_name="+")
    due_at = models.DateTimeField(default=timezone.now, help_text="When the next file may be begun.")
    error = models.TextField(default="", blank=True, help_text="Why the last file couldn't be made, in a sentence.")
    created_at = models.DateTimeField(default=timezone.now)

    objects = FeedQuerySet.as_manager()

    class Meta:
        indexes = (
            # feeds/, and the foreign key.
            models.Index(fields=("owner", "-id"), name="feed_by_owner"),
            # The chore that begins files.
            models.Index(fields=("due_at",), name="feed_by_due"),
        )

    def __str__(self) -> str:
        return f"feed {self.pk}"
