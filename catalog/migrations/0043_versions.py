"""Attributes and images have a version, which `If-Match` compares. The model says why the database has the defaults."""

from django.db import migrations, models
from django.db.models.functions import Now
from django.utils import timezone

from catalog.changes.operations import FollowTable

NAMES = ("attribute", "image")


def add_columns(name: str) -> tuple[migrations.AddField, ...]:
    moved = models.DateTimeField(db_default=Now(), default=timezone.now, editable=False)
    version = models.PositiveIntegerField(db_default=1, default=1, editable=False)
    return migrations.AddField(name, "updated_at", moved), migrations.AddField(name, "version", version)


class Migration(migrations.Migration):
    dependencies = (("catalog", "0042_fill_facet_tallies"),)
    operations = (
        *(FollowTable(name) for name in NAMES),
        *(operation for name in NAMES for operation in add_columns(name)),
        *(FollowTable(name) for name in NAMES),
    )
