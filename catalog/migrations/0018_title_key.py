"""Product.title_key, which triggers write from now on. The next migration fills it for the rows that are there."""

from typing import Any

from django.db import migrations, models

from catalog.changes.logged import Logged
from catalog.changes.operations import FollowTable
from catalog.title_keys import write_triggers


def follow_titles(apps: Any, editor: Any) -> None:
    write_triggers(editor)


class Migration(migrations.Migration):
    dependencies = (("catalog", "0017_import_options"),)
    operations = (
        FollowTable("product"),
        migrations.AlterModelOptions(
            "product",
            {
                "logged": Logged("product", sku="sku", product="pk", derived=("title_key",)),
                "permissions": (
                    ("export_product", "Can export products"),
                    ("import_product", "Can import products"),
                ),
            },
        ),
        migrations.AddField("product", "title_key", models.TextField(default="", db_default="", editable=False)),
        migrations.RunPython(follow_titles),
        FollowTable("product"),
    )
