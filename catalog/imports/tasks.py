"""The worker's task for imports: one step of one job."""

from catalog.imports.jobs import run_job
from catalog.imports.models import ImportJob
from config.api.jobs.running import register_job


@register_job(ImportJob)
def advance_import(job: ImportJob) -> None:
    run_job(job)
