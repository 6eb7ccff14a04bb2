"""Serializers of export jobs: the request, the job as its owner sees it, and the manifest."""

from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.relations import HyperlinkedIdentityField
from rest_framework.serializers import (
    BooleanField,
    CharField,
    DateTimeField,
    DictField,
    IntegerField,
    JSONField,
    ModelSerializer,
    Serializer,
    URLField,
)

from config.api.jobs.models import PROGRESS
from config.api.jobs.running import submit_job
from config.api.reads.resources import RESOURCES
from config.api.writes.bodies import ChoiceField, StrictSerializer
from exports.jobs.formats import JOB_FORMATS
from exports.jobs.submitting import check_request
from exports.models import ExportJob


class ExportRead(ModelSerializer[ExportJob]):
    """`{"id": 7, "status": "running", "percent": 40, "rows_done": 400000, "rows_total": 1000000, …}`"""

    filters = DictField(child=JSONField(), read_only=True)
    file_url = HyperlinkedIdentityField(view_name="exportjob-file", help_text="The file, once it is ready.")
    manifest_url = HyperlinkedIdentityField(view_name="exportjob-manifest")
    url = HyperlinkedIdentityField(view_name="exportjob-detail")

    class Meta:
        model = ExportJob
        fields = (
            "id", "status", "resource", "format", "compression", "filters", "fields", "expand", "raw", *PROGRESS,
            "expires_at", "file_url", "manifest_url", "url",
        )  # fmt: skip


class ExportWrite(StrictSerializer[ExportJob]):
    """`{"resource": "products", "format": "csv", "filters": {"brand": "acme"}, "compression": "zstd"}`"""

    resource = ChoiceField(choices=())
    format = ChoiceField(choices=ExportJob.Format.choices)
    filters = DictField(child=JSONField(), default=dict, help_text="Filters of the list, by name.")
    fields_ = CharField(default="", allow_blank=True, max_length=2000, help_text="The same as for the list.")
    expand = CharField(default="", allow_blank=True, max_length=2000, help_text="As for the list; NDJSON only.")
    compression = ChoiceField(choices=ExportJob.Compression.choices, default=ExportJob.Compression.NONE)
    raw = BooleanField(default=False, help_text="CSV: leave cells that a spreadsheet would run unchanged.")

    def get_fields(self) -> Any:
        # A serializer already has an attribute `fields`, so ours is declared as `fields_`.
        found = super().get_fields()
        # Now, since other apps register theirs after this class is made.
        found["resource"].choices = sorted(RESOURCES)  # type: ignore[attr-defined]  # a ChoiceField
        return {name.rstrip("_"): field for name, field in found.items()}

    def validate_filters(self, filters: dict[str, Any]) -> dict[str, Any]:
        for name, value in filters.items():
            items = value if isinstance(value, list) else [value]
            if not all(isinstance(item, str | int | float) for item in items):
                raise ValidationError(
                    {name: [ErrorDetail("Give a text, a number, a boolean or a list of these.", "invalid")]}
                )
        return filters

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        kind = JOB_FORMATS[values["format"]]
        refusals = {
            "fields": values["fields"] and not kind.has_members and "The format's rows are fixed.",
            "expand": values["expand"] and not kind.has_nested and "The format's rows are flat; use ndjson.",
            "raw": values["raw"] and values["format"] != "csv" and "It is for csv; no other format changes cells.",
            "compression": values["compression"] != "none" and kind.builder and "The format is compressed by itself.",
        }
        if found := {name: [ErrorDetail(text, "invalid")] for name, text in refusals.items() if text}:
            raise ValidationError(found)
        check_request(ExportJob(owner=self.context["request"].user, **values))
        return values

    def create(self, validated_data: dict[str, Any]) -> ExportJob:
        return submit_job(ExportJob(owner=self.context["request"].user, **validated_data))


class ManifestRead(Serializer[Any]):
    """Proves that a file is complete, and tells from where the change feed continues."""

    id = IntegerField()
    file = CharField(help_text="The file name of the download.")
    media_type = CharField()
    bytes = IntegerField()
    sha256 = CharField()
    rows = IntegerField()
    last_id = IntegerField(help_text="The greatest id in the table when the export began.")
    changes_cursor = CharField(allow_null=True, help_text="`after` for changes/, to keep a copy up to date.")
    finished_at = DateTimeField()
    expires_at = DateTimeField()
    url = URLField(help_text="A link to the file that needs no token. It works while its owner may export.")
    url_expires_at = DateTimeField()
