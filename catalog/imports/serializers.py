"""Serializers of import jobs: the request, and the job as its owner sees it."""

from typing import Any

from rest_framework.relations import HyperlinkedIdentityField
from rest_framework.serializers import (
    BooleanField,
    CharField,
    DictField,
    FileField,
    IntegerField,
    ListField,
    ModelSerializer,
    Serializer,
)

from catalog.errors import FileRefused
from catalog.imports.errors import BadFile
from catalog.imports.formats.all import FORMATS
from catalog.imports.jobs import find_format
from catalog.imports.models import ImportJob
from catalog.imports.options import DECIMALS, HELP, LONGEST_SEPARATOR, MISSING, WEIGHT_UNITS, Options
from catalog.imports.uploads import Upload
from catalog.models import Product
from config.api.jobs.models import PROGRESS
from config.api.jobs.running import submit_job
from config.api.writes.bodies import ChoiceField, StrictSerializer


class ImportRead(ModelSerializer[ImportJob]):
    """`{"id": 7, "status": "running", "percent": 40, "rows_done": 400000, "report": {"products": {…}}, …}`"""

    report = DictField(
        child=DictField(), read_only=True, help_text="Created, updated, unchanged, refused rows by table."
    )
    errors_url = HyperlinkedIdentityField(view_name="importjob-errors", help_text="The refused rows, as a CSV.")
    refused_url = HyperlinkedIdentityField(
        view_name="importjob-refused", help_text="The refused rows in the file's own columns, to be mended and sent."
    )
    url = HyperlinkedIdentityField(view_name="importjob-detail")

    class Meta:
        model = ImportJob
        fields = (
            "id", "status", "name", "format", "map", "options", "dry_run", "size", *PROGRESS, "report",
            "unread_columns", "guessed", "errors_total", "errors_url",
            "refused_rows", "refused_rows_kept", "refused_url", "url",
        )  # fmt: skip


class PreviewRead(Serializer[ImportJob]):
    """`{"format": "shopify", "columns": [{"column": "Vendor", "field": "brand"}, …], "products": […], …}`"""

    file = CharField()
    format = CharField()
    rows = IntegerField(help_text="The rows that were read, at most 1,000.")
    columns = ListField(child=DictField(), help_text="The columns, each with its field; empty if it isn't read.")
    unread_columns = ListField(
        child=DictField(), help_text="Columns that aren't read, and the field that they may mean."
    )
    guessed = ListField(child=DictField(), help_text="Options that nobody gave, and what was used.")
    counts = DictField(child=DictField(), help_text="Created, updated, unchanged, refused rows by table.")
    products = ListField(child=DictField(), help_text="The first 20 products as they would be.")
    # Not DRF's own property: this serializer only describes an answer.
    errors = ListField(child=DictField(), help_text="What is refused.")  # type: ignore[assignment]
    errors_total = IntegerField()


class ImportWrite(StrictSerializer[ImportJob]):
    """A form with `file`; if the body is the file itself, the other members are query parameters."""

    file = FileField(required=False, help_text="CSV, Excel or JSON, plain or compressed with gzip, zstd or zip.")
    format = ChoiceField(choices=list(FORMATS.items()), default="", allow_blank=True)
    map = CharField(
        default="",
        allow_blank=True,
        max_length=5_000,
        help_text="Field=column, comma-separated: title=product,price=mrp",
    )
    dry_run = BooleanField(default=False, help_text="Report what an import would do, and write nothing.")
    encoding = CharField(default="", allow_blank=True, max_length=40, help_text=HELP["encoding"])
    decimal = ChoiceField(choices=DECIMALS, default="", allow_blank=True, help_text=HELP["decimal"])
    category_separator = CharField(
        default="",
        allow_blank=True,
        max_length=LONGEST_SEPARATOR,
        trim_whitespace=False,
        help_text=HELP["category_separator"],
    )
    weight_unit = ChoiceField(choices=WEIGHT_UNITS, default="", allow_blank=True, help_text=HELP["weight_unit"])
    status = ChoiceField(choices=Product.Status.choices, default="", allow_blank=True, help_text=HELP["status"])
    missing = ChoiceField(choices=MISSING, default="keep", help_text=HELP["missing"])
    update_only = BooleanField(default=False, help_text=HELP["update_only"])
    create_only = BooleanField(default=False, help_text=HELP["create_only"])

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Opens the stored file, so that an unusable file is an error now and not in the job."""
        try:
            return values | {"format": find_format(self.context["upload"], Options.of(values))}
        except BadFile as error:
            raise FileRefused(str(error)) from None

    def create(self, validated_data: dict[str, Any]) -> ImportJob:
        upload: Upload = self.context["upload"]
        options = Options.of(validated_data)
        return submit_job(
            ImportJob(
                owner=self.context["request"].user,
                name=upload.name,
                file=upload.file,
                size=upload.size,
                format=options.format,
                map=options.map,
                options=options.as_given(),
                dry_run=validated_data["dry_run"],
            )
        )
