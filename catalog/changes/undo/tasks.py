"""The worker's task for undos: one step of one job."""

from catalog.changes.undo.jobs import run_undo
from catalog.changes.undo.models import UndoJob
from config.api.jobs.running import register_job


@register_job(UndoJob)
def advance_undo(job: UndoJob) -> None:
    run_undo(job)
