"""A look at the change log numbers few changes, and leaves a backlog alone (PostgreSQL)."""

from typing import Any

from django.db import migrations

from catalog.migrations.sql import run_script


def leave_backlogs(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        run_script(editor, "0015_backlog")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0014_reservable_stock"),)
    operations = (migrations.RunPython(leave_backlogs),)
