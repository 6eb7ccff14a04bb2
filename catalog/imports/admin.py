"""The admin's pages of imports: a form to send a file, and each job's progress, refused rows and a way to cancel it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from catalog.changes.undo.admin import link_undo
from catalog.imports.errors import BadFile
from catalog.imports.formats.all import FORMATS
from catalog.imports.jobs import find_format
from catalog.imports.mending import TABLES, send_refused
from catalog.imports.models import ImportJob, ImportRecipe
from catalog.imports.options import DECIMALS, DEFAULTS, HELP, LONGEST_SEPARATOR, WEIGHT_UNITS, Options
from catalog.imports.refusals import send_errors
from catalog.imports.uploads import store_upload
from catalog.imports.values import FIELDS
from catalog.models import Product
from config.api.admin.cells import show_unbroken
from config.api.admin.lists import BoundedAdmin
from config.api.jobs.admin import RightJobAdmin
from config.api.jobs.files import remove_file
from config.api.jobs.running import name_request, submit_job
from config.api.problems.errors import ApiError

# The errors on a job's page; the CSV has more.
SHOWN_ERRORS = 20
FORM_FIELDS = (
    "upload", "format", "map", "dry_run", "encoding", "decimal", "category_separator", "weight_unit",
    "new_status", "missing", "update_only", "create_only",
)  # fmt: skip


def make_choice(choices: Iterable[tuple[str, str]], blank: str, help_text: str, label: str | None = None) -> Any:
    return forms.ChoiceField(
        choices=[("", blank), *choices],
        required=False,
        help_text=help_text,
        label=label,
        widget=UnfoldAdminSelectWidget,
    )


def make_text(longest: int, help_text: str) -> Any:
    return forms.CharField(
        required=False, max_length=longest, strip=False, help_text=help_text, widget=UnfoldAdminTextInputWidget
    )


def make_flag(help_text: str) -> Any:
    return forms.BooleanField(required=False, help_text=help_text, widget=UnfoldBooleanSwitchWidget)


def choose_again(job: ImportJob) -> dict[str, str]:
    """The job's options for a file of its refused rows: a CSV or NDJSON in UTF-8, which doesn't name all products."""
    chosen = {name: value for name, value in job.options.items() if name not in ("encoding", "missing")}
    options = {"new_status" if name == "status" else name: value for name, value in chosen.items()}
    of_shop = {} if job.format in (*TABLES, "ndjson", "json") else {"format": job.format}
    return {"map": job.map, **of_shop, **options}


class ImportForm(forms.ModelForm[ImportJob]):
    """A file and the import's options. An unusable file is an error of the form, and isn't kept."""

    upload = forms.FileField(
        label="File",
        widget=UnfoldAdminFileFieldWidget,
        help_text="CSV, Excel, JSON or a shop's export, plain or compressed with gzip, zstd or zip.",
    )
    format = make_choice(FORMATS.items(), "guess from the file", "")
    decimal = make_choice(zip(DECIMALS, ("dot: 1299.50", "comma: 1299,50"), strict=True), "dot", HELP["decimal"])
    weight_unit = make_choice(((unit, unit) for unit in WEIGHT_UNITS), "as the column says", HELP["weight_unit"])
    # Not `status`, which is the job's own.
    new_status = make_choice(Product.Status.choices, "as the file says", HELP["status"], label="status of new products")
    encoding = make_text(40, HELP["encoding"])
    category_separator = make_text(LONGEST_SEPARATOR, HELP["category_separator"])
    missing = make_choice([("archive", "archive them")], "keep them", "", label="products that the file doesn't name")
    update_only = make_flag(HELP["update_only"])
    create_only = make_flag(HELP["create_only"])

    class Meta:
        model = ImportJob
        fields = ("format", "map", "dry_run")
        widgets: ClassVar = {"map": UnfoldAdminTextareaWidget({"rows": 2})}

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if "upload" in values and not self.errors:
            try:
                self.store(values)
            except (BadFile, ApiError) as error:
                self.add_error("upload", str(error))
        return values

    def store(self, values: dict[str, Any]) -> None:
        upload = store_upload(values["upload"], values["upload"].name)
        try:
            own = {"status": values["new_status"], "missing": values["missing"] or DEFAULTS["missing"]}
            options = Options.of(values | own)
            values["format"] = find_format(upload, options)
        except BadFile:
            remove_file(upload.file)
            raise
        self.instance.options = options.as_given()
        self.instance.name, self.instance.file, self.instance.size = upload.name, upload.file, upload.size


class ImportJobAdmin(RightJobAdmin):
    """All users' imports, for staff with the permission to import. A job can't be edited, only canceled or deleted."""

    icon = "upload"
    list_display = ("number", "name", "owner", "state", "progress", "rows", "refused", "created", "error")
    search_fields = ("name__exact",)
    form = ImportForm
    # What a file would do is shown before it starts.
    change_form_after_template = "admin/import_guide.html"
    mapped_fields = FIELDS
    # Bytes of the form with its file. The API takes IMPORT_MAX_BYTES.
    most_bytes = 64 * 2**20
    shown: ClassVar[Sequence[str]] = (
        "name", "owner", "state", "progress", "error", "kind", "map", "chosen", "trial", "size_shown", "rows",
        "outcome", "way_back", "refusals", "to_mend", "unread", "guesses", "created_at", "started_at", "finished_at",
    )  # fmt: skip

    @property
    def media(self) -> Any:
        return super().media + forms.Media(js=("tenfold/imports.js",), css={"all": ("tenfold/product.css",)})

    # -- pages

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may_use(request)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Sequence[str]:
        return self.shown if obj else FORM_FIELDS

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.shown if obj else ()

    def get_urls(self) -> list[URLPattern]:
        files = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(self.download),
                {"send": send},
                name=f"catalog_importjob_{name}",
            )
            for name, send in (("errors", send_errors), ("refused", send_refused))
        ]
        return [*files, *super().get_urls()]

    def download(
        self, request: HttpRequest, pk: int, send: Callable[[ImportJob], HttpResponseBase]
    ) -> HttpResponseBase:
        """A file of the job: its errors, or the rows to mend."""
        job = self.get_object(request, str(pk)) if self.may_use(request) else None
        if job is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, str(pk))
        return send(job)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        try:
            return super().add_view(request, form_url, extra_context)
        except ApiError as error:
            self.message_user(request, f"{error.detail} {error.hint}", messages.ERROR)
            return HttpResponseRedirect(reverse("admin:catalog_importjob_changelist"))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The page of the job, which follows its progress."""
        if "_addanother" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        return HttpResponseRedirect(reverse("admin:catalog_importjob_change", args=[obj.pk]))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        user: Any = request.user
        obj.owner = user
        try:
            submit_job(obj)
        except ApiError:
            remove_file(obj.file)
            raise

    # -- columns

    @admin.display(description="rows")
    def rows(self, job: Any) -> str:
        return format_html("{}{}", super().rows(job), show_unbroken(" (dry run)") if job.dry_run else "")

    @display(description="refused", label={"some": "warning"})  # type: ignore[untyped-decorator]  # unfold has no types
    def refused(self, job: ImportJob) -> tuple[str, str] | None:
        """The number of refused rows as a label; None if there are none, which the admin shows as a dash."""
        number = job.report.get("products", {}).get("refused", 0)
        return ("some", f"{number:,}") if number else None

    @admin.display(description="dry run")
    def trial(self, job: ImportJob) -> str:
        # Text, not a flag: the admin would show a red cross for an ordinary run.
        return "yes, nothing is written" if job.dry_run else "no"

    @admin.display(description="size")
    def size_shown(self, job: ImportJob) -> str:
        return show_unbroken(filesizeformat(job.size))

    @admin.display(description="outcome")
    def outcome(self, job: ImportJob) -> str:
        """A line for each table: `products: 12 created, 3 updated`."""
        lines = (
            (table, ", ".join(f"{number:,} {what}" for what, number in counts.items()))
            for table, counts in job.report.items()
        )
        return format_html_join("", "<div>{}: {}</div>", lines)

    @admin.display(description="undo")
    def way_back(self, job: ImportJob) -> str:
        return "-" if job.dry_run else link_undo(name_request(job.kind, job.pk), "Undo this import…")

    @admin.display(description="refused rows")
    def refusals(self, job: ImportJob) -> str:
        found = job.errors.values_list("line", "key", "reason")[:SHOWN_ERRORS]
        lines = format_html_join("", "<div>line {}, {}: {}</div>", found)
        link = reverse("admin:catalog_importjob_errors", args=[job.pk])
        more = (
            format_html('<a href="{}">All {} as a CSV</a>', link, f"{job.errors_total:,}")
            if job.errors_total
            else "none"
        )
        return format_html("{}{}", lines, more)

    @admin.display(description="mend and send again")
    def to_mend(self, job: ImportJob) -> str:
        """The refused rows as a file, and the form with the same options for it."""
        if not job.refused_rows_kept:
            return "-"
        left_out = job.refused_rows - job.refused_rows_kept
        return format_html(
            '<a href="{}" class="tenfold-box">Download {} refused rows</a>'
            ' <a href="{}" class="tenfold-box">Send the mended file…</a>{}',
            reverse("admin:catalog_importjob_refused", args=[job.pk]),
            f"{job.refused_rows_kept:,}",
            f"{reverse('admin:catalog_importjob_add')}?{urlencode(choose_again(job))}",
            f" {left_out:,} more don't fit into it." if left_out else "",
        )

    @admin.display(description="format")
    def kind(self, job: ImportJob) -> str:
        return FORMATS.get(job.format, job.format)

    @admin.display(description="options")
    def chosen(self, job: ImportJob) -> str:
        return show_options(job.options)

    @admin.display(description="columns not read")
    def unread(self, job: ImportJob) -> str:
        near = ((one["column"], f" (did you mean {one['near']}?)" if one["near"] else "") for one in job.unread_columns)
        return format_html_join(", ", "{}{}", near)

    @admin.display(description="guessed")
    def guesses(self, job: ImportJob) -> str:
        lines = ((one["option"], one["used"], one["reason"]) for one in job.guessed)
        return format_html_join("", "<div>{}={}: {}</div>", lines)


class ImportRecipeAdmin(BoundedAdmin):
    """All users' recipes. They are made beside a file, on the page of a new import; here they are shared or deleted."""

    icon = "menu_book"
    list_display = ("name", "owner", "is_shared", "chosen")
    list_filter = ("is_shared",)
    list_select_related = ("owner",)
    search_fields = ("owner__email__lower",)
    search_help_text = "The owner's e-mail address in lower case"
    fields = ("name", "owner", "is_shared", "chosen")
    readonly_fields = ("owner", "chosen")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description="options")
    def chosen(self, recipe: ImportRecipe) -> str:
        return show_options(recipe.options)


def show_options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())
