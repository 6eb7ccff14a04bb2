"""Triggers that cost less where many products are written, each with all that belongs to it."""

from typing import Any

from django.db import migrations

from catalog.migrations.sql import run_script
from catalog.title_keys import SQLITE


def replace_triggers(apps: Any, editor: Any) -> None:
    run_script(editor, "0040_whole_products")
    if editor.connection.vendor == "sqlite":
        editor.execute(SQLITE[0], params=None)


class Migration(migrations.Migration):
    dependencies = (("catalog", "0039_breadcrumb"),)
    operations = (migrations.RunPython(replace_triggers),)
