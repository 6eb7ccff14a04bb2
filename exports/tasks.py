"""The worker's task for exports: plan a job, write one part of it, or publish it."""

from config.api.jobs.running import push_job, register_job
from exports.jobs.parts import write_part
from exports.jobs.planning import plan_job
from exports.jobs.publishing import publish_job
from exports.models import ExportJob, ExportPart


@register_job(ExportJob)
def advance_export(held: ExportJob | ExportPart) -> None:
    if isinstance(held, ExportPart):
        write_part(held)
    elif held.status == ExportJob.Status.QUEUED:
        plan_job(held)
        push_job(held, held.count_lanes() - 1)
    else:
        publish_job(held)
