"""Who edits the catalogue may declare locations, too; where the owner has deleted that group, nothing happens."""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def let_editors_declare(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    groups: Any = apps.get_model("auth", "Group").objects.filter(name="Catalogue editor")
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label="catalog", model="location")
    permissions = apps.get_model("auth", "Permission").objects
    for action in ("view", "add", "change", "delete"):
        # As Django itself makes it, which it does after the last migration only.
        right, _ = permissions.get_or_create(
            content_type=kind, codename=f"{action}_location", defaults={"name": f"Can {action} location"}
        )
        for group in groups:
            group.permissions.add(right)


class Migration(migrations.Migration):
    dependencies = (
        ("accounts", "0015_schedulers"),
        ("catalog", "0054_locations"),
    )
    operations = (migrations.RunPython(let_editors_declare, migrations.RunPython.noop),)
