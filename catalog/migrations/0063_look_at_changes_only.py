"""A look at a log without new changes reads none of the old ones (PostgreSQL)."""

from typing import Any

from django.db import migrations

from catalog.migrations.sql import run_script


def look_at_changes_only(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        run_script(editor, "0063_look_at_changes_only")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0062_on_sale"),)
    operations = (migrations.RunPython(look_at_changes_only),)
