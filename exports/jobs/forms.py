"""The form of a new export in the admin. It is made from the resource: a new resource or filter needs nothing here."""

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django_filters import Filter
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from catalog.models import Brand, Category, Product
from config.api.admin.filters import NamedSelect
from config.api.problems.errors import ApiError
from config.api.reads.counting import BOUND, count_at_most
from config.api.reads.filtering import MomentFilter
from config.api.reads.resources import RESOURCES, Resource
from config.api.reads.selections import build_selection, find_fields
from exports.jobs.formats import JOB_FORMATS
from exports.jobs.requests import build_query
from exports.jobs.submitting import check_request
from exports.models import ExportJob

# The filters that stand above the others.
FIRST = ("search", "status", "brand", "category", "in_stock", "price_min", "price_max")
# Filters by slug whose rows are suggested, as a product's own.
SUGGESTED: Mapping[str, Any] = {"brand": Brand, "category": Category}
ATTRIBUTES = "attr."
LONGEST_VALUE = 2_000


def list_resources(user: Any) -> list[str]:
    """The names of what this user may export."""
    return [name for name, resource in RESOURCES.items() if user.has_perm(resource.right)]


class ExportForm(forms.Form):
    """What to export of one resource. A valid form has the `job`, which isn't saved yet."""

    format = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    compression = forms.ChoiceField(
        choices=ExportJob.Compression.choices,
        widget=UnfoldAdminSelectWidget,
        help_text="Excel workbooks and Parquet files are compressed by themselves.",
    )
    columns = forms.MultipleChoiceField(
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="The formats of Google and OpenAI have columns of their own.",
    )
    attributes = forms.CharField(
        required=False,
        max_length=LONGEST_VALUE,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="Declared attributes of the products, one a line: material=oak",
    )

    job: ExportJob

    def __init__(self, resource: Resource, owner: Any, data: Any = None) -> None:
        super().__init__(data)
        self.resource, self.owner = resource, owner
        labels = dict(ExportJob.Format.choices)
        self.fields["format"].choices = [(name, labels[name]) for name in resource.formats]  # type: ignore[attr-defined]  # a choice
        flat = resource.choose_shape(owner, is_flat=True)
        self.usual = build_selection(flat).names
        every = build_selection(flat, detail=True).names
        self.fields["columns"].choices = [(name, name) for name in every]  # type: ignore[attr-defined]  # the same
        self.fields["columns"].initial = list(self.usual)
        if ATTRIBUTES not in resource.open_parameters:
            del self.fields["attributes"]
        self.fields |= {name_field(name): make_field(name, one) for name, one in resource.filters.base_filters.items()}

    # -- what the page shows

    @property
    def filters(self) -> list[forms.BoundField]:
        """The fields of the filters that are asked for most."""
        return [self[name_field(name)] for name in FIRST if name in self.resource.filters.base_filters]

    @property
    def more_filters(self) -> list[forms.BoundField]:
        names = [name_field(name) for name in self.resource.filters.base_filters if name not in FIRST]
        return [self[name] for name in (*names, "attributes") if name in self.fields]

    def opens_more(self) -> bool:
        """Whether one of these has a value, or an error."""
        return any(field.errors or field.value() for field in self.more_filters)

    def count_rows(self) -> int:
        """The rows of the job's file; at most one more than BOUND."""
        return count_at_most(build_query(self.job).rows, BOUND)

    # -- what was chosen

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors:
            self.job = self.build_job(values)
            try:
                check_request(self.job)
            except ApiError as error:
                for field, sentence in self.place_faults(error):
                    self.add_error(field, sentence)
        return values

    def build_job(self, values: dict[str, Any]) -> ExportJob:
        kind = JOB_FORMATS[values["format"]]
        return ExportJob(
            owner=self.owner,
            resource=self.resource.name,
            format=values["format"],
            compression=ExportJob.Compression.NONE if kind.builder else values["compression"],
            fields=self.choose_columns(values),
            filters=dict(self.list_filters(values)),
        )

    def choose_columns(self, values: dict[str, Any]) -> str:
        """Empty for the usual ones, and where a format has its own. NDJSON has other members than a table."""
        kind, chosen = JOB_FORMATS[values["format"]], tuple(values["columns"])
        if not kind.has_members or set(chosen) == set(self.usual):
            return ""
        known = find_fields(self.resource.choose_shape(self.owner, is_flat=not kind.has_nested))
        return ",".join(name for name in chosen if name in known)

    def list_filters(self, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for name in self.resource.filters.base_filters:
            value = values.get(name_field(name))
            if value not in (None, ""):
                yield name, str(getattr(value, "slug", value))
        for line in filter(None, map(str.strip, values.get("attributes", "").splitlines())):
            name, _, value = line.partition("=")
            yield f"{ATTRIBUTES}{name.strip()}", value.strip()

    def place_faults(self, error: ApiError) -> Iterator[tuple[str | None, str]]:
        """Each error with the field that it is about."""
        hint = f" {error.hint}" if error.hint else ""
        if not error.faults:
            yield None, f"{error.detail}{hint}"
        for fault in error.faults:
            name = fault.pointer.rpartition("/")[2]
            own = {"fields": "columns"}.get(name, "attributes" if name.startswith(ATTRIBUTES) else name_field(name))
            yield own if own in self.fields else name if name in self.fields else None, f"{fault.detail}{hint}"


def name_field(name: str) -> str:
    return f"filter-{name}"


def make_field(name: str, one: Filter) -> forms.Field:
    """A field whose value is a parameter's text. The filter itself reads it, and says what is wrong."""
    words = name.removesuffix(".not").replace("_", " ")
    label = f"Without {words}" if name.endswith(".not") else words.capitalize()
    settings: dict[str, Any] = {"label": label, "help_text": str(one.label or ""), "required": False}
    if name in SUGGESTED:
        widget = NamedSelect(
            Product._meta.get_field(name), admin.site, attrs={"class": "unfold-admin-autocomplete admin-autocomplete"}
        )
        rows, settings["help_text"] = SUGGESTED[name].objects.all(), ""
        return forms.ModelChoiceField(rows, to_field_name="slug", widget=widget, **settings)
    if choices := [choice for choice in one.extra.get("choices", ()) if choice[0]]:
        return forms.ChoiceField(choices=[("", "any"), *choices], widget=UnfoldAdminSelectWidget, **settings)
    hint = "2026-01-31 or 2026-01-31T12:00:00Z" if isinstance(one, MomentFilter) else ""
    widget = UnfoldAdminTextInputWidget({"placeholder": hint})
    return forms.CharField(max_length=LONGEST_VALUE, widget=widget, **settings)
