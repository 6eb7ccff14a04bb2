"""Plans of triggers that are kept since a statement of many rows serve one row as well (PostgreSQL)."""

from typing import Any

from django.db import migrations

from catalog.changes.operations import FollowTable
from catalog.migrations.sql import run_script


def leave_uncompiled(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        run_script(editor, "0059_uncompiled")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0058_unread_indexes"),)
    operations = (FollowTable("stock"), FollowTable("scheduledprice"), migrations.RunPython(leave_uncompiled))
