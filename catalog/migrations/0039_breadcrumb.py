"""Category.breadcrumb, filled at once: there are few categories."""

from typing import Any

from django.db import migrations, models

from catalog.changes.logged import Logged
from catalog.changes.operations import FollowTable
from catalog.migrations.sql import run_script


def write_breadcrumbs(apps: Any, editor: Any) -> None:
    run_script(editor, "0039_breadcrumb")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0038_changes_by_request"),)
    operations = (
        FollowTable("category"),
        migrations.AlterModelOptions(
            "category",
            {
                "logged": Logged("category", derived=("path", "breadcrumb")),
                "ordering": ("slug",),
                "verbose_name_plural": "categories",
            },
        ),
        migrations.AddField("category", "breadcrumb", models.TextField(default="", db_default="", editable=False)),
        FollowTable("category"),
        migrations.RunPython(write_breadcrumbs),
    )
