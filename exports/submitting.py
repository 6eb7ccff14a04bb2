"""A job in, refused before any work or put into the queue, within what its owner may have."""

from django.conf import settings
from django.db.models import Sum

from config.api.counting import count_at_most
from config.api.jobs.storage import open_storage
from config.api.models import JobQuerySet
from exports.errors import QuotaReached
from exports.formats import JOB_FORMATS, require_extra
from exports.models import ExportJob
from exports.planning import refuse_too_many
from exports.requests import build_query
from exports.states import Status
from exports.tasks import push_job

# What a job was asked for.
REQUEST = ("resource", "format", "filters", "fields", "expand", "compression", "raw")


def check_request(job: ExportJob) -> None:
    """InvalidBody, MissingExtra or TooManyRows for what could only fail."""
    require_extra(job.format)
    open_storage()
    query = build_query(job)
    if most := JOB_FORMATS[job.format].most_rows:
        refuse_too_many(job, count_at_most(query.rows, most))


def submit_job(job: ExportJob) -> ExportJob:
    """QuotaReached where its owner has enough already."""
    return job.submit(check_quota, push_job)


def retry_job(job: ExportJob) -> ExportJob:
    """A new job of what the old one was asked for; a fence never goes back, so the old row stays as it ended."""
    asked = {name: getattr(job, name) for name in REQUEST}
    again = ExportJob(owner=job.owner, **asked)
    check_request(again)
    return submit_job(again)


def check_quota(held: JobQuerySet) -> None:
    ready = held.filter(status=Status.READY)
    if (held.only_unfinished() | ready).count() >= (most := settings.EXPORT_QUOTA_JOBS):
        raise QuotaReached(f"{most} export jobs under way or ready")
    if (ready.aggregate(bytes=Sum("bytes"))["bytes"] or 0) >= settings.EXPORT_QUOTA_BYTES:
        raise QuotaReached(f"export files of {settings.EXPORT_QUOTA_BYTES} bytes or more")
