"""Triggers that take the rows of a statement at once, in place of one by one (PostgreSQL)."""

from typing import Any

from django.db import migrations

from catalog.migrations.sql import run_script
from catalog.prices.triggers import create_triggers
from catalog.tallies.triggers import write_triggers


def replace_triggers(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        create_triggers(editor, "-infinity")
        write_triggers(editor)
        run_script(editor, "0057_by_statement")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0056_import_recipes"),)
    operations = (migrations.RunPython(replace_triggers),)
