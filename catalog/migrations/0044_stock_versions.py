"""Stock has a version and the reason of its last change. The model says why the database has the defaults."""

from typing import Any

from django.db import migrations, models
from django.db.models.functions import Now
from django.utils import timezone

from catalog.changes.operations import FollowTable

COLUMNS: dict[str, Any] = {
    "reason": models.CharField(blank=True, db_default="", default="", max_length=200),
    "updated_at": models.DateTimeField(db_default=Now(), default=timezone.now, editable=False),
    "version": models.PositiveIntegerField(db_default=1, default=1, editable=False),
}


class Migration(migrations.Migration):
    dependencies = (("catalog", "0043_versions"),)
    operations = (
        FollowTable("stock"),
        *(migrations.AddField("stock", name, field) for name, field in COLUMNS.items()),
        FollowTable("stock"),
    )
