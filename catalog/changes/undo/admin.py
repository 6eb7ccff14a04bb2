"""The admin's pages of undos: a preview first, then the undo itself, each a job with its progress and its conflicts."""

from typing import ClassVar

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from catalog.changes.history import show_actor
from catalog.changes.log import number_all
from catalog.changes.models import Change
from catalog.changes.undo.histories import FORCEABLE
from catalog.changes.undo.models import UndoJob
from catalog.changes.undo.submitting import Asked, submit_undo
from catalog.rights import UNDO
from config.api.jobs.admin import RightJobAdmin
from config.api.jobs.running import name_request
from config.api.problems.errors import ApiError

BEGIN = "admin:catalog_undojob_begin"
SHOWN_CONFLICTS = 100


def may_undo(request: HttpRequest) -> bool:
    return request.user.has_perm(UNDO)


def link_undo(request_id: str, text: str = "Undo…", **more: str) -> SafeString | str:
    """A link to the page that begins an undo of this request's changes; a dash for changes without a request.

    With `columns="price"` only these, comma-separated, go back.
    """
    address = f"{reverse(BEGIN)}?{urlencode({'request_id': request_id} | more)}"
    style = "font-medium text-primary-600 whitespace-nowrap dark:text-primary-500"
    return format_html('<a href="{}" class="{}">{}</a>', address, style, text) if request_id else "-"


class UndoJobAdmin(RightJobAdmin):
    """All users' undos, for staff with the permission to undo. None can be edited, only canceled or deleted."""

    icon = "undo"
    list_display = ("number", "what", "owner", "state", "progress", "rows", "skipped", "created", "error")
    search_fields = ("request_id__exact",)
    search_help_text = "A request id, or a job such as import/7"
    shown: ClassVar = (
        "what", "state", "progress", "error", "outcome", "next_steps", "undone", "not_undone", "owner", "created",
    )  # fmt: skip
    fields = shown
    readonly_fields = shown

    # -- beginning one

    def begin(self, request: HttpRequest) -> HttpResponse:
        """GET shows what was changed, and asks; POST previews the undo, or undoes with `dry_run=0`."""
        return self.submit(request) if request.method == "POST" else self.ask(request)

    def ask(self, request: HttpRequest) -> HttpResponse:
        number_all()
        request_id = request.GET.get("request_id", "")
        changes = Change.objects.filter(request_id=request_id).exclude(request_id="").order_by("position")
        first = changes.defer("before").first()
        context = {
            **self.admin_site.each_context(request), "title": "Undo", "request_id": request_id, "first": first,
            "number": changes.count(), "actor": show_actor(first.actor) if first else "", "opts": self.opts,
            "columns": request.GET.get("columns", ""),
        }  # fmt: skip
        return TemplateResponse(request, "admin/undo.html", context)

    def submit(self, request: HttpRequest) -> HttpResponse:
        asked = Asked(
            request_id=request.POST.get("request_id", ""),
            columns=tuple(filter(None, request.POST.get("columns", "").split(","))),
            force=request.POST.get("force") == "1",
            dry_run=request.POST.get("dry_run", "1") == "1",
        )
        number_all()
        try:
            job = submit_undo(request.user, asked)
        except ApiError as error:
            self.message_user(request, f"{error.detail} {error.hint}", messages.ERROR)
            return HttpResponseRedirect(request.headers.get("Referer") or reverse("admin:catalog_change_changelist"))
        return HttpResponseRedirect(reverse("admin:catalog_undojob_change", args=(job.pk,)))

    # -- columns

    @admin.display(description="what")
    def what(self, job: UndoJob) -> str:
        trial = "Preview: " if job.dry_run else ""
        forced = ", also what others changed since" if job.force else ""
        if job.position is not None:
            return f"{trial}{len(job.products)} products back to position {job.position}{forced}"
        only = f"{', '.join(job.columns)} in " if job.columns else ""
        return f"{trial}{only}changes of {job.request_id}{forced}"

    @admin.display(description="not undone")
    def skipped(self, job: UndoJob) -> str:
        return f"{job.conflicts_total:,}" if job.conflicts_total else "-"

    @admin.display(description="outcome")
    def outcome(self, job: UndoJob) -> SafeString:
        return self.render("outcome", job)

    @admin.display(description="")
    def next_steps(self, job: UndoJob) -> SafeString:
        """Buttons of the page's own form: undo after a preview, also by force; or take the undo back."""
        return self.render("next", job)

    @admin.display(description="rows")
    def undone(self, job: UndoJob) -> SafeString:
        return self.render("steps", job)

    @admin.display(description="not undone")
    def not_undone(self, job: UndoJob) -> SafeString:
        return self.render("conflicts", job)

    def render(self, part: str, job: UndoJob) -> SafeString:
        context = {
            "part": part, "job": job, "begin": reverse(BEGIN), "own": name_request(job.kind, job.pk),
            "columns": ",".join(job.columns),
            "tables": [
                {"name": entity, "counts": ", ".join(f"{number:,} {what}" for what, number in counts.items())}
                for entity, counts in job.report.items()
            ],
            "conflicts": job.conflicts[:SHOWN_CONFLICTS],
            "can_force": any(conflict["reason"] in FORCEABLE for conflict in job.conflicts),
            "does": any(set(counts) - {"skipped"} for counts in job.report.values()),
        }  # fmt: skip
        return format_html("{}", render_to_string("admin/undo_parts.html", context))
