"""What a worker does for imports, step by step."""

from catalog.imports.jobs import run_job
from catalog.models import ImportJob
from config.api.jobs.running import register_job


@register_job(ImportJob)
def advance_import(job: ImportJob) -> None:
    run_job(job)
