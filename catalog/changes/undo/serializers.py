"""Serializers of undos: the request, and the job as its owner sees it."""

from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.relations import HyperlinkedIdentityField
from rest_framework.serializers import BooleanField, CharField, DictField, IntegerField, ListField, ModelSerializer

from catalog.changes.undo.models import UndoJob
from catalog.changes.undo.submitting import Asked, submit_undo
from config.api.jobs.models import PROGRESS
from config.api.writes.bodies import ChoiceField, StrictSerializer

MOST_PRODUCTS = 1_000
MOST_COLUMNS = 50
WAYS = ("request_id", "import_id", "position")


class UndoRead(ModelSerializer[UndoJob]):
    """`{"id": 3, "status": "ready", "report": {"variant": {"updated": 40, "skipped": 1}}, "conflicts": […], …}`"""

    report = DictField(child=DictField(), read_only=True, help_text="Created, updated, deleted, skipped rows by table.")
    url = HyperlinkedIdentityField(view_name="undojob-detail")

    class Meta:
        model = UndoJob
        fields = (
            "id", "status", "request_id", "position", "products", "columns", "force", "dry_run",
            *(name for name in PROGRESS if name != "bytes"), "report", "steps", "conflicts", "conflicts_total", "url",
        )  # fmt: skip


class UndoWrite(StrictSerializer[UndoJob]):
    """What to undo, in one of three ways: `request_id`, `import_id`, or `position` with `products`."""

    request_id = CharField(
        required=False, max_length=100, help_text="All changes of this request, or of a job such as `undo/3`."
    )
    import_id = IntegerField(required=False, min_value=1, help_text="All changes of this import.")
    position = IntegerField(required=False, min_value=0, help_text="All changes of `products` after this position.")
    products = ListField(
        child=IntegerField(min_value=1), required=False, min_length=1, max_length=MOST_PRODUCTS, help_text="Their ids."
    )
    columns = ListField(
        child=CharField(max_length=60), required=False, max_length=MOST_COLUMNS,
        help_text="Only these columns go back, as `steps` and `conflicts` name them; no row is created or deleted.",
    )  # fmt: skip
    on_conflict = ChoiceField(
        choices=("skip", "force"), default="skip", help_text="What somebody changed since is skipped, or overwritten."
    )
    dry_run = BooleanField(default=False, help_text="Report what an undo would do, and write nothing.")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in WAYS if name in values]
        if len(given) != 1:
            raise ValidationError([ErrorDetail(f"Name what to undo by one of {', '.join(WAYS)}.", "required")])
        if ("position" in values) != ("products" in values):
            missing = "products" if "position" in values else "position"
            raise ValidationError({missing: [ErrorDetail("position and products go together.", "required")]})
        return values

    def create(self, validated_data: dict[str, Any]) -> UndoJob:
        values = dict(validated_data)
        force, dry_run = values.pop("on_conflict") == "force", values.pop("dry_run")
        return submit_undo(self.context["request"].user, Asked(**values, force=force, dry_run=dry_run))
