"""How a job ends otherwise than ready: one UPDATE that only an unfinished job matches, then its files go."""

import logging
from datetime import timedelta

from django.db.models.functions import Now

from config.api.jobs.files import remove_folder
from exports.models import ExportJob, ExportPart

logger = logging.getLogger("tenfold.exports")

# How long a file is kept, and after that the row of its job.
KEPT = timedelta(days=7)
REMEMBERED = timedelta(days=30)

Status = ExportJob.Status


def cancel_job(job: ExportJob) -> bool:
    """False where it was over already."""
    return end_job(job, Status.CANCELED, "")


def fail_job(job: ExportJob, reason: str) -> bool:
    logger.warning("export", extra={"export": job.pk, "status": "failed", "reason": reason})
    return end_job(job, Status.FAILED, reason)


def end_job(job: ExportJob, status: str, reason: str) -> bool:
    """Take the job from whoever works on it; they find out at their next write, and remove what they wrote."""
    if not ExportJob.objects.filter(pk=job.pk).end(status, reason):
        return False
    ExportPart.objects.filter(job=job).revoke()
    try:
        tidy_job(job)
    except OSError as error:
        logger.warning("The files of %s wait for the next sweep: %s", job, error)
    return True


def tidy_job(job: ExportJob) -> None:
    """Of a job that is over, keep the published file, if any; its parts' rows go last, so that a crash is seen."""
    keep = ExportJob.objects.filter(pk=job.pk).values_list("file", flat=True).first() or ""
    remove_folder(str(job.pk), keep)
    job.parts.all().delete()


def expire_job(job: ExportJob) -> None:
    """The file first: one that can't be deleted now is tried again with the next sweep."""
    remove_folder(str(job.pk))
    ExportJob.objects.filter(pk=job.pk, status=Status.READY).update(status=Status.EXPIRED, file="", expires_at=Now())


def delete_job(job: ExportJob) -> None:
    """The row goes last: a file that couldn't be deleted is tried again with it."""
    cancel_job(job)
    remove_folder(str(job.pk))
    job.delete()
