"""Who edits the catalogue may plan prices, too; where the owner has deleted that group, nothing happens."""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def let_editors_schedule(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    groups: Any = apps.get_model("auth", "Group").objects.filter(name="Catalogue editor")
    kinds = apps.get_model("contenttypes", "ContentType").objects
    kind, _ = kinds.get_or_create(app_label="catalog", model="scheduledprice")
    permissions = apps.get_model("auth", "Permission").objects
    for action in ("view", "add", "change", "delete"):
        # As Django itself makes it, which it does after the last migration only.
        right, _ = permissions.get_or_create(
            content_type=kind,
            codename=f"{action}_scheduledprice",
            defaults={"name": f"Can {action} scheduled price"},
        )
        for group in groups:
            group.permissions.add(right)


class Migration(migrations.Migration):
    dependencies = (
        ("accounts", "0014_customer_names"),
        ("catalog", "0051_scheduled_prices"),
    )
    operations = (migrations.RunPython(let_editors_schedule, migrations.RunPython.noop),)
