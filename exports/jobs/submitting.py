"""A job in, refused before any work where it could only fail; or a failed one once more."""

from config.api.jobs.running import submit_job
from config.api.jobs.storage import open_storage
from config.api.reads.counting import count_at_most
from exports.jobs.formats import JOB_FORMATS, require_extra
from exports.jobs.planning import refuse_too_many
from exports.jobs.requests import build_query
from exports.models import ExportJob

# What a job was asked for.
REQUEST = ("resource", "format", "filters", "fields", "expand", "compression", "raw")


def check_request(job: ExportJob) -> None:
    """InvalidBody, MissingExtra or TooManyRows for what could only fail."""
    require_extra(job.format)
    open_storage()
    query = build_query(job)
    if most := JOB_FORMATS[job.format].most_rows:
        refuse_too_many(job, count_at_most(query.rows, most))


def retry_job(job: ExportJob) -> ExportJob:
    """A new job of what the old one was asked for; a fence never goes back, so the old row stays as it ended."""
    asked = {name: getattr(job, name) for name in REQUEST}
    again = ExportJob(owner=job.owner, **asked)
    check_request(again)
    return submit_job(again)
