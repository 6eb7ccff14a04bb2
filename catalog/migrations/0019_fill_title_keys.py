"""Fills Product.title_key in batches, each in its own transaction. If stopped, run `migrate` again."""

from typing import Any

from django.db import migrations

from catalog.title_keys import fill_keys


def fill(apps: Any, editor: Any) -> None:
    fill_keys(apps.get_model("catalog", "Product")._default_manager.using(editor.connection.alias))


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0018_title_key"),)
    operations = (migrations.RunPython(fill),)
