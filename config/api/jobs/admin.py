"""Jobs for staff: what the pages of exports and imports share, how far each job is and what stops it."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from unfold.decorators import display

from config.api.admin import BoundedAdmin, show_moment
from config.api.models import Job

LABELS = {
    "Queued": "info",
    "Running": "info",
    "Ready": "success",
    "Failed": "danger",
    "Canceled": "warning",
    "Expired": "warning",
}


class JobAdmin(BoundedAdmin):
    """Everybody's jobs. Nobody writes into one; a subclass says who may `manage` them, and how one is canceled."""

    list_filter = ("status",)
    list_select_related = ("owner",)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """For the actions: `change` itself would open a form."""
        raise NotImplementedError

    def cancel_job(self, job: Any) -> bool:
        """False where it was over already."""
        raise NotImplementedError

    @admin.display(description="job", ordering="pk")
    def number(self, job: Job) -> str:
        return f"#{job.pk}"

    @display(description="status", label=LABELS)  # type: ignore[untyped-decorator]  # unfold has no types
    def state(self, job: Job) -> str:
        return job.get_status_display()

    @admin.display(description="progress")
    def progress(self, job: Job) -> str:
        left = f", {job.seconds_left} s left" if job.is_unfinished and job.seconds_left is not None else ""
        bar = {"value": job.percent, "title": f"{job.percent} %{left}"}
        return render_to_string("unfold/components/progress.html", bar)

    @admin.display(description="created")
    def created(self, job: Job) -> str:
        return show_moment(job.created_at)

    @admin.action(permissions=("manage",), description="Cancel")
    def cancel(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        number = sum(map(self.cancel_job, queryset))
        self.message_user(request, f"{number} canceled; the others were over.", messages.SUCCESS)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for job in queryset:
            self.delete_model(request, job)
