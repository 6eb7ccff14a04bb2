"""Three roles as groups: who edits the catalogue, who exports it, who helps customers.

The groups are the owner's from here on: what the admin adds to one, takes from it or deletes is left alone.
"""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

EDITED = ("product", "producttext", "variant", "stock", "image", "brand", "category", "attribute")

# Group, and the permissions that it begins with.
ROLES: dict[str, list[str]] = {
    "Catalogue editor": [
        *(f"catalog.{action}_{model}" for model in EDITED for action in ("view", "add", "change", "delete")),
        "catalog.view_change",
    ],
    "Export partner": ["catalog.export_product"],
    "Support": [f"accounts.view_{model}" for model in ("user", "address", "order", "orderline")],
}


def create_roles(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    for name, codes in ROLES.items():
        group, is_new = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        if is_new:
            group.permissions.set([find_permission(apps, *code.split(".")) for code in codes])


def find_permission(apps: Apps, label: str, codename: str) -> Any:
    """As Django itself makes it, which it does after the last migration only."""
    action, _, name = codename.partition("_")
    model: Any = apps.get_model(label, name)._meta
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label=label, model=name)
    sentence = dict(model.permissions).get(codename, f"Can {action} {model.verbose_name_raw}")
    permissions = apps.get_model("auth", "Permission").objects
    return permissions.get_or_create(content_type=kind, codename=codename, defaults={"name": sentence})[0]


class Migration(migrations.Migration):
    dependencies = (
        ("accounts", "0001_initial"),
        ("catalog", "0004_change_log"),
        ("contenttypes", "0002_remove_content_type_name"),
    )
    operations = (migrations.RunPython(create_roles, migrations.RunPython.noop),)
