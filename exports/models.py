"""Export jobs and their parts: what was asked for, how far it is, and where the file lies."""

from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from config.api.leases import Leased, LeasedQuerySet
from config.api.models import Job, JobQuerySet


class ExportJob(Job):
    """A table, or what filters leave of it, as one file; the request is kept, never a list of keys."""

    class Format(models.TextChoices):
        CSV = "csv", "CSV"
        NDJSON = "ndjson", "NDJSON"
        PARQUET = "parquet", "Parquet"
        XLSX = "xlsx", "XLSX"

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
    # Both are fixed before the first row is read: no part reads past the greatest id, and who follows the change
    # feed from the cursor misses nothing.
    last_id = models.BigIntegerField(null=True)
    changes_cursor = models.BigIntegerField(null=True)
    # When tasks for it were last put into the queue: who finds it idle since then does it again.
    pushed_at = models.DateTimeField(default=timezone.now, editable=False)
    file = models.CharField(max_length=200, default="", blank=True, help_text="Its name in the storage.")
    sha256 = models.CharField("SHA-256", max_length=64, default="", blank=True)

    objects: ClassVar[Any] = JobQuerySet.as_manager()

    class Meta:
        indexes = (
            # exports/, the newest first; serves the foreign key too.
            models.Index(fields=("owner", "-id"), name="export_job_by_owner"),
            # The sweep: unfinished ones, and ready ones that expire.
            models.Index(fields=("status", "expires_at"), name="export_job_by_status"),
        )


class ExportPart(Leased):
    """A range of ids, `after` < id <= `upto`; written by one task, which may run again."""

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

    objects: ClassVar[Any] = LeasedQuerySet.as_manager()

    class Meta:
        constraints = (
            # Serves the foreign key too.
            models.UniqueConstraint(fields=("job", "number"), name="export_part_once"),
        )

    def __str__(self) -> str:
        return f"part {self.number} of export {self.job_id}"
