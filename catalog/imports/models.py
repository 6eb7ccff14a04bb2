"""The tables of imports: the jobs, and the errors in their files. Comments name the query that each index serves."""

from django.conf import settings
from django.db import models

from catalog.errors import ImportsWaiting
from catalog.rights import IMPORT
from config.api.jobs.models import Job, JobQuerySet


class ImportJob(Job):
    """A job that reads a file of products into the catalogue. The file is deleted when the job ends."""

    kind = "import"
    right = IMPORT

    class Format(models.TextChoices):
        SHOPIFY = "shopify", "Shopify CSV"
        CSV = "csv", "CSV"
        NDJSON = "ndjson", "NDJSON"

    name = models.CharField("file", max_length=255, help_text="As its sender called it.")
    format = models.CharField(max_length=10, choices=Format, default="", blank=True)
    map = models.TextField(
        default="", blank=True, help_text="field=column,… for each column that has another name than our field."
    )
    dry_run = models.BooleanField(default=False, help_text="Report what an import would do, and write nothing.")
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes of the file, packed as it came.")
    # The checkpoint: the line of the last row done, and the counts. Each batch writes it in its own transaction.
    line = models.PositiveBigIntegerField(default=0, editable=False)
    report = models.JSONField(default=dict, blank=True, help_text="What was created, updated, unchanged and refused.")
    errors_total = models.PositiveBigIntegerField(default=0)

    class Meta:
        indexes = (
            # imports/, the newest first, and the foreign key.
            models.Index(fields=("owner", "-id"), name="import_job_by_owner"),
            # The sweep: unfinished jobs, and jobs that are to be deleted.
            models.Index(fields=("status", "finished_at"), name="import_job_by_status"),
        )

    def check_quota(self, held: JobQuerySet) -> None:
        if held.only_unfinished().count() >= (most := settings.IMPORT_QUOTA_JOBS):
            raise ImportsWaiting(most)


class ImportRefusal(models.Model):
    """An error in a row of a file: the line where the row begins, its SKU or handle, and the reason."""

    job = models.ForeignKey(ImportJob, models.DB_CASCADE, related_name="errors", db_index=False)
    line = models.PositiveBigIntegerField()
    key = models.TextField("SKU or handle", blank=True)
    reason = models.TextField()

    class Meta:
        ordering = ("id",)
        # The model was called ImportError before. Processes of the former release still use this table.
        db_table = "catalog_importerror"
        # imports/{id}/errors/, in the order of the file, and the foreign key.
        indexes = (models.Index(fields=("job", "id"), name="import_error_by_job"),)

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"
