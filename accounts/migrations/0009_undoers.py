"""Who edits the catalogue may undo changes, too; where the owner has deleted that group, nothing happens."""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def let_editors_undo(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    groups: Any = apps.get_model("auth", "Group").objects.filter(name="Catalogue editor")
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label="catalog", model="change")
    # As Django itself makes it, which it does after the last migration only.
    right, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=kind, codename="undo_change", defaults={"name": "Can undo changes"}
    )
    for group in groups:
        group.permissions.add(right)


class Migration(migrations.Migration):
    dependencies = (
        ("accounts", "0008_log_orders"),
        ("catalog", "0037_undo"),
    )
    operations = (migrations.RunPython(let_editors_undo, migrations.RunPython.noop),)
