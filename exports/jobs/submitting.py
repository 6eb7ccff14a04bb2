"""Checks a job before any work, so that one that can only fail is an error at once. Also repeats an ended job."""

from config.api.jobs.running import submit_job
from config.api.jobs.storage import open_storage
from config.api.problems.errors import Fault, InvalidBody
from config.api.reads.counting import count_at_most
from config.api.reads.resources import RESOURCES
from exports.formats.formats import PART_FORMATS
from exports.jobs.formats import JOB_FORMATS, require_extra
from exports.jobs.planning import refuse_too_many
from exports.jobs.requests import build_query
from exports.models import ExportJob

# The columns of a job that are its request.
REQUEST = ("resource", "format", "filters", "fields", "expand", "compression", "raw")


def check_request(job: ExportJob) -> None:
    """Raise InvalidBody, MissingExtra or TooManyRows for a job that can only fail."""
    refuse_unknown_format(job)
    require_extra(job.format)
    PART_FORMATS[JOB_FORMATS[job.format].rows].check_settings()
    open_storage()
    query = build_query(job)
    if most := JOB_FORMATS[job.format].most_rows:
        refuse_too_many(job, count_at_most(query.rows, most))


def refuse_unknown_format(job: ExportJob) -> None:
    formats = RESOURCES[job.resource].formats
    if job.format not in formats:
        detail = f"{job.resource} has no export as {job.format}."
        raise InvalidBody([Fault("/format", "invalid_choice", detail)], f"Use {' or '.join(formats)}.")


def retry_job(job: ExportJob) -> ExportJob:
    """Submit a new job with the old one's request. The old row stays: its fence must never go back."""
    asked = {name: getattr(job, name) for name in REQUEST}
    again = ExportJob(owner=job.owner, **asked)
    check_request(again)
    return submit_job(again)
