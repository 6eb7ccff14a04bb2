"""What a worker's beat does for exports: start lost jobs again, let files expire, forget what is long over."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from exports.models import ExportJob, ExportPart
from exports.states import REMEMBERED, Status, expire_job, tidy_job
from exports.tasks import count_lanes, push_job

# Jobs of each kind that a beat looks after.
SWEPT_AT_ONCE = 50


def sweep_exports() -> None:
    push_lost_jobs()
    for job in find_untidy_jobs()[:SWEPT_AT_ONCE]:
        tidy_job(job)
    for job in ExportJob.objects.filter(status=Status.READY, expires_at__lt=Now())[:SWEPT_AT_ONCE]:
        expire_job(job)
    for job in find_forgotten_jobs()[:SWEPT_AT_ONCE]:
        expire_job(job)
        tidy_job(job)
        job.delete()


def push_lost_jobs() -> None:
    """Jobs that nobody works on, and that nobody pushed for the time of a lease: their tasks or workers are gone."""
    waited = Now() - timedelta(seconds=settings.JOB_LEASE_SECONDS)
    idle = ExportJob.objects.filter(~Exists(find_held_parts()), pushed_at__lt=waited)
    lost = idle.only_unfinished().only_free()
    for job in lost.order_by("pk")[:SWEPT_AT_ONCE]:
        # Of many workers that sweep, one pushes: for the others it isn't long ago any more. Compared by the database
        # itself, since SQLite's own moments have milliseconds and Python's microseconds, as text.
        if lost.filter(pk=job.pk).update(pushed_at=Now()):
            push_job(job, count_lanes(job))


def find_held_parts() -> Any:
    return ExportPart.objects.filter(job=OuterRef("pk"), is_done=False, leased_until__gte=Now())


def find_untidy_jobs() -> Any:
    """Over, but whoever ended it died before its parts were gone."""
    return ExportJob.objects.only_over().filter(Exists(ExportPart.objects.filter(job=OuterRef("pk"))))


def find_forgotten_jobs() -> Any:
    """Over for a month, or nobody's any more."""
    old = Q(finished_at__lt=Now() - REMEMBERED)
    return ExportJob.objects.only_over().filter(old | Q(owner=None))
