"""A fourth role: who looks at all of the catalogue, drafts included, and changes nothing of it."""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

NAME = "Catalogue viewer"
VIEWED = ("product", "producttext", "variant", "stock", "image", "brand", "category", "attribute", "location")


def create_viewers(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    group, is_new = apps.get_model("auth", "Group").objects.get_or_create(name=NAME)
    if is_new:
        # A group of this name is the owner's.
        group.permissions.set([find_permission(apps, name) for name in VIEWED])


def find_permission(apps: Apps, name: str) -> Any:
    """As Django itself makes it, which it does after the last migration only."""
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label="catalog", model=name)
    sentence = f"Can view {apps.get_model('catalog', name)._meta.verbose_name_raw}"
    permissions = apps.get_model("auth", "Permission").objects
    return permissions.get_or_create(content_type=kind, codename=f"view_{name}", defaults={"name": sentence})[0]


class Migration(migrations.Migration):
    dependencies = (
        ("accounts", "0017_sent_from"),
        ("catalog", "0054_locations"),
    )
    operations = (migrations.RunPython(create_viewers, migrations.RunPython.noop),)
