"""The worker's task for edits: one step of one job."""

from catalog.edits.jobs import run_edit
from catalog.edits.models import EditJob
from config.api.jobs.running import register_job


@register_job(EditJob)
def advance_edit(job: EditJob) -> None:
    run_edit(job)
