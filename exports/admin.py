"""The admin's pages of export jobs: progress, cancel, retry, delete. Also an action that exports listed products."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from catalog.models import Product
from catalog.rights import EXPORT
from catalog.staff.products import ProductAdmin, find_by_sku
from config.api.admin.cells import show_moment, show_unbroken
from config.api.admin.dashboard import show_count
from config.api.admin.lists import BoundedAdmin
from config.api.jobs.admin import JobAdmin
from config.api.jobs.running import submit_job
from config.api.problems.errors import ApiError
from config.api.reads.counting import BOUND
from config.api.reads.resources import RESOURCES
from exports.jobs.forms import ExportForm, list_resources
from exports.jobs.submitting import check_request, retry_job
from exports.models import ExportJob, Feed

Status = ExportJob.Status
ENDED = (Status.FAILED, Status.CANCELED, Status.EXPIRED)


@admin.register(ExportJob)
class ExportJobAdmin(JobAdmin):
    """All users' export jobs, and a page that begins one. None can be edited, only canceled, tried again or deleted."""

    icon = "download"
    list_display = ("number", "what", "owner", "state", "progress", "rows", "download", "created", "error")
    actions = ("cancel", "retry", "delete_selected")
    fields: ClassVar[Sequence[str]] = (
        "owner", "state", "progress", "download", "error", "resource", "format", "compression", "filters", "fields",
        "expand", "raw", "rows", "size", "sha256", "changes_cursor", "created_at", "started_at", "finished_at",
        "expires_at",
    )  # fmt: skip

    # -- beginning one

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and bool(list_resources(request.user))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """GET asks what to export; POST counts its rows (`count`), or starts it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        names = list_resources(request.user)
        chosen = request.GET.get("resource", names[0])
        if chosen not in names:
            raise Http404(f"There is no export of {chosen!r}, or you may not make it.")
        form = ExportForm(RESOURCES[chosen], request.user, request.POST if request.method == "POST" else None)
        if form.is_valid() and "count" not in request.POST and self.submit(request, form.job):
            return HttpResponseRedirect(reverse("admin:exports_exportjob_change", args=(form.job.pk,)))
        return self.show(request, form, chosen, names)

    def submit(self, request: HttpRequest, job: ExportJob) -> bool:
        try:
            submit_job(job)
        except ApiError as error:
            self.message_user(request, f"{error.detail} {error.hint}", messages.ERROR)
        return job.pk is not None

    def show(self, request: HttpRequest, form: ExportForm, chosen: str, names: Sequence[str]) -> HttpResponse:
        number = show_count(form.count_rows(), BOUND) if form.is_valid() else ""
        context = {
            **self.admin_site.each_context(request), "title": "New export", "opts": self.opts, "form": form,
            "resource": chosen, "resources": names, "number": number, "media": form.media,
        }  # fmt: skip
        return TemplateResponse(request, "admin/export.html", context)

    # -- columns

    @admin.display(description="what")
    def what(self, job: ExportJob) -> str:
        return show_unbroken(f"{job.resource}, {job.format}")

    @admin.display(description="file, for its owner")
    def download(self, job: ExportJob) -> str:
        """A link to the file in the API. It works with a session too, but only for the job's owner."""
        if job.status != Status.READY:
            return "-"
        link = '<a href="{}" class="font-medium text-primary-600 dark:text-primary-500">Download</a> ({})'
        return format_html(link, reverse("exportjob-file", args=(job.pk,)), self.size(job))

    @admin.display(description="size")
    def size(self, job: ExportJob) -> str:
        return show_unbroken(filesizeformat(job.bytes))

    # -- actions

    @admin.action(permissions=("manage",), description="Try again failed, canceled and expired exports")
    def retry(self, request: HttpRequest, queryset: QuerySet[ExportJob]) -> None:
        for job in queryset.filter(status__in=ENDED).exclude(owner=None):
            try:
                self.message_user(request, f"Export #{retry_job(job).pk} repeats #{job.pk}.", messages.SUCCESS)
            except (ApiError, PermissionDenied) as error:
                self.message_user(request, f"Export #{job.pk}: {error}", messages.ERROR)


# -- feeds --------------------------------------------------------------------------------------------------------


@admin.register(Feed)
class FeedAdmin(BoundedAdmin):
    """All users' feeds. They are made over the API; staff can make their files at once, and delete them."""

    icon = "rss_feed"
    list_display = ("number", "what", "owner", "every", "made", "due_at", "error")
    list_select_related = ("owner", "job")
    actions: ClassVar[Sequence[str]] = ("make", "delete_selected")
    fields = ("owner", "description", "what", "filters", "every", "on_change", "made", "due_at", "error")
    readonly_fields = fields
    search_fields = ("owner__email__lower",)
    search_help_text = "The owner's e-mail address in lower case"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description="feed", ordering="pk")
    def number(self, feed: Feed) -> str:
        return f"#{feed.pk}"

    @admin.display(description="what")
    def what(self, feed: Feed) -> str:
        return show_unbroken(f"{feed.resource}, {feed.format}")

    @admin.display(description="made")
    def made(self, feed: Feed) -> str:
        return show_moment(feed.job.finished_at) if feed.job and feed.job.finished_at else "-"

    @admin.action(permissions=("change",), description="Make new files now")
    def make(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        number = queryset.order_by().update(due_at=timezone.now())
        self.message_user(request, f"{number} {'feed is' if number == 1 else 'feeds are'} made anew soon.")


# -- products -----------------------------------------------------------------------------------------------------

# The admin's filters of products, and the API's names for them.
FILTERS = {"status__exact": "status", "in_stock__exact": "in_stock", "brand": "brand", "category": "category"}

admin.site.unregister(Product)


@admin.register(Product)
class ExportableProductAdmin(ProductAdmin):
    """Products, with actions that export the selected ones, or all that the filters show."""

    actions: ClassVar[Sequence[str]] = (*ProductAdmin.actions, "export_csv", "export_xlsx")

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(EXPORT)

    @admin.action(permissions=("export",), description="Export as CSV")
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Product]) -> HttpResponse | None:
        return self.export(request, ExportJob.Format.CSV)

    @admin.action(permissions=("export",), description="Export as XLSX")
    def export_xlsx(self, request: HttpRequest, queryset: QuerySet[Product]) -> HttpResponse | None:
        return self.export(request, ExportJob.Format.XLSX)

    def export(self, request: HttpRequest, format_: str) -> HttpResponse | None:
        """Start an export job. It stores the filters, not the ids of the rows found now: there may be millions."""
        user: Any = request.user
        job = ExportJob(owner=user, resource="products", format=format_, filters=read_filters(request))
        try:
            check_request(job)
            submit_job(job)
        except ApiError as error:
            self.message_user(request, f"{error.detail} {error.hint}", messages.ERROR)
            return None
        self.message_user(request, f"Export #{job.pk} has started.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:exports_exportjob_changelist"))


def read_filters(request: HttpRequest) -> dict[str, Any]:
    """The ids of the selected rows; or the page's filters and search, as filters of the API."""
    if request.POST.get("select_across") != "1":
        return {"id": [int(key) for key in request.POST.getlist(ACTION_CHECKBOX_NAME)]}
    found = {name: request.GET[parameter] for parameter, name in FILTERS.items() if request.GET.get(parameter)}
    if "in_stock" in found:
        found["in_stock"] = "true" if found["in_stock"] == "1" else "false"
    return found | read_search(request.GET)


def read_search(query: Mapping[str, str]) -> dict[str, Any]:
    """The page's search as a filter: the product with this SKU, else words."""
    term = query.get("q", "").strip()
    key = find_by_sku(term) if term else None
    if key is not None:
        return {"id": [key]}
    return {"search": term} if term else {}
