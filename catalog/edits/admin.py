"""The admin's pages of edits: what to change, then a preview, then the job with its refused rows and its undo."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from catalog.changes.feed import Bounds
from catalog.changes.log import number_all
from catalog.changes.undo.admin import link_undo
from catalog.edits.forms import EditForm
from catalog.edits.jobs import find_products, read_again, submit_edit
from catalog.edits.kinds import Edit
from catalog.edits.merging import MERGE, read_merge
from catalog.edits.models import EditJob
from catalog.edits.rows import propose
from catalog.models import Product
from config.api.admin.dashboard import show_count
from config.api.jobs.admin import RightJobAdmin
from config.api.jobs.models import JobFailure
from config.api.jobs.running import name_request
from config.api.problems.errors import ApiError
from config.api.reads.counting import BOUND, count_at_most

BEGIN = "admin:catalog_editjob_begin"
# The products whose rows a preview shows, at most so many rows of them; and the refused rows that a job's page shows.
SHOWN_FIRST = 10
SHOWN_ROWS = 40
SHOWN_REFUSALS = 100
# The most products that can be selected one by one; the list shows fewer.
MOST_SELECTED = 1_000
# An address has room for so many characters of a list's query.
LONGEST_QUERY = 2_000


@admin.action(permissions=("change",), description="Edit these products…")
def edit_many(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
    """An action of the products' list: goes to the page that begins an edit of the selection."""
    across = request.POST.get("select_across") == "1"
    keys = [] if across else request.POST.getlist(ACTION_CHECKBOX_NAME)
    query = urlencode({"list": request.GET.urlencode(), "keys": ",".join(keys)})
    return HttpResponseRedirect(f"{reverse(BEGIN)}?{query}")


class EditJobAdmin(RightJobAdmin):
    """All users' edits, for staff who may change products. None can be changed, only canceled or deleted."""

    icon = "edit_note"
    list_display = ("number", "what", "owner", "state", "progress", "rows", "refused", "created", "error")
    search_fields = ("owner__email__lower",)
    search_help_text = "The owner's e-mail address"
    shown: ClassVar = (
        "what", "selection", "state", "progress", "error", "outcome", "way_back", "refused_rows", "owner", "created",
    )  # fmt: skip
    fields = shown
    readonly_fields = shown

    # -- beginning one

    def begin(self, request: HttpRequest) -> HttpResponse:
        """GET asks what to change and, once that is said, shows a preview; POST edits."""
        given = request.POST if request.method == "POST" else request.GET
        form = EditForm(given if "edit" in given else None)
        try:
            job = build_job(request, given)
            if "edit" not in given or not form.is_valid():
                return self.show(request, form, job)
            assert form.chosen is not None  # of a valid form
            require_right(request, form.chosen)
            job.values = form.pick(form.cleaned_data)
            return self.submit(request, job, given) if request.method == "POST" else self.preview(request, form, job)
        except (JobFailure, ApiError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:catalog_product_changelist"))

    def show(self, request: HttpRequest, form: EditForm, job: EditJob, **more: Any) -> HttpResponse:
        number = count_at_most(find_products(job), BOUND)
        context = {
            **self.admin_site.each_context(request), "title": "Edit many products", "opts": self.opts, "form": form,
            "job": job, "keys": ",".join(map(str, job.keys)), "number": show_count(number, BOUND),
            "noun": "product" if number == 1 else "products", "back": list_address(job), "media": form.media, **more,
        }  # fmt: skip
        return TemplateResponse(request, "admin/edit.html", context)

    def preview(self, request: HttpRequest, form: EditForm, job: EditJob) -> HttpResponse:
        number_all()
        since = Bounds.read().newest
        until = Product.objects.aggregate(last=Max("pk"))["last"] or 0
        edit = form.chosen
        assert edit is not None  # of a valid form
        keys = list(find_products(job).order_by("pk").values_list("pk", flat=True)[:SHOWN_FIRST])
        proposals = propose(edit, keys, since, lock=False, narrows=False)[:SHOWN_ROWS]
        return self.show(
            request, form, job, proposals=proposals, what=edit.describe(), since=since, until=until, shown=len(keys),
            values=[(name, value) for name, value in job.values.items() if value not in (None, "", False)],
        )  # fmt: skip

    def submit(self, request: HttpRequest, job: EditJob, given: Any) -> HttpResponse:
        job.since, job.until_key = read_whole(given.get("since")), read_whole(given.get("until"))
        number = count_at_most(find_products(job), BOUND)
        job.rows_total = number if number <= BOUND else None
        submit_edit(job)
        return HttpResponseRedirect(reverse("admin:catalog_editjob_change", args=(job.pk,)))

    # -- columns

    @admin.display(description="what")
    def what(self, job: EditJob) -> str:
        try:
            return read_again(job).describe()
        except JobFailure as error:
            return str(error)

    @admin.display(description="of")
    def selection(self, job: EditJob) -> SafeString:
        return self.render("selection", job)

    @admin.display(description="refused")
    def refused(self, job: EditJob) -> str:
        return f"{job.report.get('refused', 0):,}" if job.report.get("refused") else "-"

    @admin.display(description="outcome")
    def outcome(self, job: EditJob) -> str:
        return ", ".join(f"{number:,} {what}" for what, number in job.report.items()) or "-"

    @admin.display(description="undo")
    def way_back(self, job: EditJob) -> SafeString:
        return self.render("undo", job)

    @admin.display(description="refused rows")
    def refused_rows(self, job: EditJob) -> SafeString:
        return self.render("refusals", job)

    def render(self, part: str, job: EditJob) -> SafeString:
        context = {
            "part": part, "job": job, "own": tell_own(job), "list": list_address(job),
            "refusals": job.refusals[:SHOWN_REFUSALS],
            "total": job.report.get("refused", 0), "undo": link_undo(name_request(job.kind, job.pk), "Undo this edit…"),
        }  # fmt: skip
        return SafeString(render_to_string("admin/edit_parts.html", context))


def build_job(request: HttpRequest, given: Any) -> EditJob:
    """The job for these products, not saved yet. Raises JobFailure for an address that can't be read."""
    user: Any = request.user
    keys, query = [read_whole(key) for key in given.get("keys", "").split(",") if key], given.get("list", "")
    if len(keys) > MOST_SELECTED or len(query) > LONGEST_QUERY:
        raise JobFailure("That are too many products by name; narrow the list by a filter, and take all that it shows.")
    return EditJob(owner=user, keys=keys, query=query)


def read_whole(text: str | None) -> int:
    if not (text and text.isascii() and text.isdigit() and len(text) <= 18):
        raise JobFailure("Begin the edit from the list of products: its address is broken.")
    return int(text)


def require_right(request: HttpRequest, edit: Edit) -> None:
    if not request.user.has_perm(edit.right):
        raise JobFailure(f"This needs the permission {edit.right}; ask a superuser.")


def tell_own(job: EditJob) -> str:
    """The merged brands or categories, whose products an edit chooses itself; "" for other edits."""
    return read_merge(job.values).tell_merged() if job.values.get("edit") == MERGE else ""


def list_address(job: EditJob) -> str:
    """The list of products as it was, or of the selected ones alone."""
    address = reverse("admin:catalog_product_changelist")
    return f"{address}?{job.query}" if job.query else address
