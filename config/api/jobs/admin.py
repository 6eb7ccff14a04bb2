"""The base of the admin's pages of jobs: progress, and an action that cancels. A kind of job adds its own columns."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from unfold.decorators import display

from config.api.admin.cells import show_moment, show_unbroken
from config.api.admin.lists import BoundedAdmin
from config.api.jobs.models import Job

LABELS = {
    "Queued": "info",
    "Running": "info",
    "Ready": "success",
    "Failed": "danger",
    "Canceled": "warning",
    "Expired": "warning",
}


class JobAdmin(BoundedAdmin):
    """All users' jobs. A job can't be edited, only canceled or deleted (with its files)."""

    list_display: ClassVar[Sequence[str]] = ("number", "owner", "state", "progress", "rows", "created", "error")
    list_filter = ("status",)
    list_select_related = ("owner",)
    actions: ClassVar[Sequence[str]] = ("cancel", "delete_selected")
    # While a job isn't over, its page and its list follow it (admin.js).
    list_after_template = change_form_outer_after_template = "admin/job_state.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """The permission for the actions. With `change` itself, Django would show a form."""
        return bool(super().has_change_permission(request))

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

    @admin.display(description="rows")
    def rows(self, job: Job) -> str:
        total = "" if job.rows_total in (None, job.rows_done) else f" of {job.rows_total:,}"
        return show_unbroken(f"{job.rows_done:,}{total}")

    @admin.display(description="created")
    def created(self, job: Job) -> str:
        return show_moment(job.created_at)

    @admin.action(permissions=("manage",), description="Cancel")
    def cancel(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        number = sum(job.cancel() for job in queryset)
        self.message_user(request, f"{number} canceled; the others had already ended.", messages.SUCCESS)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        obj.discard()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for job in queryset:
            self.delete_model(request, job)


class RightJobAdmin(JobAdmin):
    """For staff with the permission that the jobs need (`Job.right`), in place of Django's permissions of their table.

    `begin` is a page that begins a job, at `…/begin/`. Without the permission it is a 403.
    """

    def may_use(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(self.model.right))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.may_use(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may_use(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may_use(request)

    def has_manage_permission(self, request: HttpRequest) -> bool:
        return self.may_use(request)

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_begin"
        begin = path("begin/", self.admin_site.admin_view(self.open_begin), name=name)
        return [begin, *super().get_urls()] if hasattr(self, "begin") else super().get_urls()

    def open_begin(self, request: HttpRequest) -> HttpResponse:
        if not self.may_use(request):
            raise PermissionDenied
        response: HttpResponse = self.begin(request)
        return response
