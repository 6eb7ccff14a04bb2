"""Triggers that record a price by one statement (PostgreSQL)."""

from typing import Any

from django.db import migrations

from catalog.prices.triggers import create_triggers


def replace_triggers(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        # No row is left to fill.
        create_triggers(editor, "-infinity")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0051_scheduled_prices"),)
    operations = (migrations.RunPython(replace_triggers),)
