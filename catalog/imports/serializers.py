"""Serializers of import jobs: the request, and the job as its owner sees it."""

from typing import Any

from django.contrib.auth import get_user_model
from rest_framework.fields import SerializerMethodField
from rest_framework.relations import HyperlinkedIdentityField
from rest_framework.serializers import (
    BooleanField,
    CharField,
    DictField,
    FileField,
    IntegerField,
    JSONField,
    ListField,
    ModelSerializer,
    Serializer,
)

from catalog.errors import FileRefused, TooManyRecipes
from catalog.imports.errors import BadFile
from catalog.imports.formats.all import FORMATS
from catalog.imports.jobs import find_format
from catalog.imports.models import ImportJob, ImportRecipe
from catalog.imports.options import DECIMALS, DEFAULTS, HELP, LONGEST_SEPARATOR, MISSING, WEIGHT_UNITS, Options
from catalog.imports.uploads import Upload
from catalog.models import Product
from config.api.jobs.models import PROGRESS
from config.api.jobs.running import submit_job
from config.api.problems.errors import Conflict
from config.api.writes.bodies import ChoiceField, StrictSerializer

FORMAT_CHOICES = list(FORMATS.items())


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


class OptionsWrite(StrictSerializer[Any]):
    """How a file is read and written: `{"map": "title=product", "decimal": ","}`"""

    format = ChoiceField(choices=FORMAT_CHOICES, default="", allow_blank=True)
    map = CharField(
        default="",
        allow_blank=True,
        max_length=5_000,
        help_text="Field=column, comma-separated: title=product,price=mrp",
    )
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


class ImportWrite(OptionsWrite):
    """A form with `file`; if the body is the file itself, the other members are query parameters."""

    file = FileField(required=False, help_text="CSV, Excel or JSON, plain or compressed with gzip, zstd or zip.")
    dry_run = BooleanField(default=False, help_text="Report what an import would do, and write nothing.")

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


# The most recipes of a user.
MOST_RECIPES = 50


class RecipeRead(ModelSerializer[ImportRecipe]):
    """`{"id": 3, "name": "Supplier A", "shared": true, "is_own": true, "options": {"map": "title=product"}, …}`"""

    shared = BooleanField(source="is_shared", read_only=True)
    is_own = SerializerMethodField(help_text="Only its owner can change it.")
    options = DictField(child=JSONField(), read_only=True, help_text="The options that aren't the defaults.")
    url = HyperlinkedIdentityField(view_name="importrecipe-detail")

    class Meta:
        model = ImportRecipe
        fields = ("id", "name", "shared", "is_own", "options", "url")

    def get_is_own(self, recipe: ImportRecipe) -> bool:
        return bool(recipe.owner_id == self.context["request"].user.pk)


class RecipeWrite(StrictSerializer[ImportRecipe]):
    """`{"name": "Supplier A", "shared": true, "options": {"map": "title=product,sku=index", "decimal": ","}}`"""

    name = CharField(max_length=60)
    shared = BooleanField(source="is_shared", default=False, help_text="Everybody who imports may use it.")
    options = OptionsWrite(default=dict, help_text="Options of an import, without the file.")

    def validate_options(self, options: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in options.items() if value != DEFAULTS[name]}

    def create(self, validated_data: dict[str, Any]) -> ImportRecipe:
        owner = self.context["request"].user
        # One request of a user at a time: two might both add the last allowed recipe.
        get_user_model().objects.select_for_update().get(pk=owner.pk)
        own = ImportRecipe.objects.filter(owner=owner)
        refuse_taken(own, validated_data)
        if own.count() >= MOST_RECIPES:
            raise TooManyRecipes(MOST_RECIPES)
        return own.create(owner=owner, **validated_data)

    def update(self, instance: ImportRecipe, validated_data: dict[str, Any]) -> ImportRecipe:
        refuse_taken(ImportRecipe.objects.filter(owner=instance.owner_id).exclude(pk=instance.pk), validated_data)
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.save(update_fields=list(validated_data))
        return instance


def refuse_taken(own: Any, values: dict[str, Any]) -> None:
    if "name" in values and own.filter(name=values["name"]).exists():
        raise Conflict(f"You have a recipe {values['name']!r} already.", "Change that one, or choose another name.")
