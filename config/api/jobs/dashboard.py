"""Jobs that run, wait, or have failed in the last week, for the admin's first page: one short query for each kind."""

from collections.abc import Iterator
from datetime import timedelta

from django.contrib import admin
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse

from config.api.admin.dashboard import Work
from config.api.jobs.models import UNFINISHED, Job, Status
from config.api.jobs.running import TASKS

SHOWN = 5
LATELY = timedelta(days=7)


def list_work(request: HttpRequest) -> Iterator[Work]:
    for model in TASKS:
        if admin.site.is_registered(model) and admin.site.get_model_admin(model).has_view_permission(request):
            failed = Q(status=Status.FAILED, finished_at__gte=Now() - LATELY)
            jobs = model.objects.filter(Q(status__in=UNFINISHED) | failed).order_by("-pk")
            yield from map(show_job, jobs[:SHOWN])


def show_job(job: Job) -> Work:
    names = job._meta
    link = reverse(f"admin:{names.app_label}_{names.model_name}_change", args=(job.pk,))
    is_failed = job.status == Status.FAILED
    return Work(f"{job.kind.capitalize()} #{job.pk}", link, job.percent, job.get_status_display(), is_failed, job.error)
