"""The table of undos: each is a job, also one that ended within its request."""

from django.db import models

from catalog.rights import UNDO
from config.api.jobs.models import Job

# A job shows this many rows that it couldn't undo, and this many of those that it did.
MOST_KEPT_CONFLICTS = 1_000
MOST_KEPT_STEPS = 50


class UndoJob(Job):
    """Takes changes back: those of one request or job, or all since a position for some products.

    The changes are fixed when it is made: those up to `until`. It writes under a request id of its own, so an undo can
    be undone.
    """

    kind = "undo"
    right = UNDO

    request_id = models.CharField("request id", max_length=100, default="", blank=True)
    position = models.BigIntegerField(null=True, help_text="Products go back to what they were after this change.")
    products = models.JSONField(default=list, blank=True, help_text="Ids, with a position.")
    columns = models.JSONField(
        default=list, db_default=models.Value([], models.JSONField()), blank=True,
        help_text="Only these columns go back, such as `price`; all without any.",
    )  # fmt: skip
    force = models.BooleanField(default=False, help_text="Also overwrite what somebody changed since.")
    dry_run = models.BooleanField(default=False, help_text="Report what an undo would do, and write nothing.")
    # The first and the last position of the chosen changes.
    since = models.BigIntegerField(editable=False, default=0)
    until = models.BigIntegerField(editable=False, default=0)
    # The checkpoint: the phase, and the last key done in it.
    phase = models.PositiveSmallIntegerField(editable=False, default=0)
    last_key = models.BigIntegerField(editable=False, default=0)
    report = models.JSONField(default=dict, blank=True, help_text="Created, updated, deleted, skipped rows by table.")
    steps = models.JSONField(default=list, blank=True, help_text="The first 50 rows: what they were, and are again.")
    conflicts = models.JSONField(
        default=list, blank=True, help_text="The first 1,000 rows that weren't undone, each with a reason."
    )
    conflicts_total = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = "undo"
        indexes = (
            # changes/undo/, the newest first, and the foreign key.
            models.Index(fields=("owner", "-id"), name="undo_job_by_owner"),
            # The sweep: unfinished jobs, and jobs that are to be deleted.
            models.Index(fields=("status", "finished_at"), name="undo_job_by_status"),
        )
