"""The function by which a cache follows the change log (PostgreSQL)."""

from typing import Any

from django.db import migrations

from catalog.migrations.sql import run_script


def create_function(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        run_script(editor, "0008_followed_log")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0007_imports"),)
    operations = (migrations.RunPython(create_function),)
