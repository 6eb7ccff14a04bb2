"""A look at the change log also tells whether brands and categories have other numbers of products (PostgreSQL)."""

from typing import Any

from django.db import migrations

from catalog.migrations.sql import run_script


def follow_counts(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        run_script(editor, "0053_follow_counts")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0052_append_prices"),)
    operations = (migrations.RunPython(follow_counts),)
