"""The table of edits of many products: each is a job, also one that ended within its request."""

from django.db import models

from config.api.jobs.models import Job

# A job shows this many rows that it refused.
MOST_KEPT_REFUSALS = 1_000


class EditJob(Job):
    """One change of many products: of those that somebody selected, or of all that a filter of the list shows.

    It writes under a request id of its own (`edit/7`), so an undo takes all of it back.
    """

    kind = "edit"
    right = "catalog.change_product"

    # The list's own query, such as `status__exact=draft&q=tea`; not read if there are keys.
    query = models.TextField(default="", blank=True)
    keys = models.JSONField(default=list, blank=True, help_text="Ids of the selected products.")
    values = models.JSONField(default=dict, blank=True, help_text="What to change, as the form had it.")
    # The preview: the position of the change log then, and the greatest product id. Later products aren't edited.
    since = models.BigIntegerField(editable=False, default=0)
    until_key = models.BigIntegerField(editable=False, default=0)
    # The checkpoint: the last product done. Each batch writes it in its own transaction.
    last_key = models.BigIntegerField(editable=False, default=0)
    report = models.JSONField(default=dict, blank=True, help_text="Changed, unchanged and refused rows.")
    refusals = models.JSONField(default=list, blank=True, help_text="The first 1,000 refused rows, with reasons.")

    class Meta:
        verbose_name = "bulk edit"
        indexes = (
            # The foreign key.
            models.Index(fields=("owner", "-id"), name="edit_job_by_owner"),
            # The sweep: unfinished jobs, and jobs that are to be deleted.
            models.Index(fields=("status", "finished_at"), name="edit_job_by_status"),
        )
