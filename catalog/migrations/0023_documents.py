"""Search documents in new columns (PostgreSQL) or tables (SQLite), which triggers write from now on."""

from typing import Any

from django.db import migrations

from catalog.migrations.sql import run_script


def create_documents(apps: Any, editor: Any) -> None:
    run_script(editor, "0023_documents")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0022_variants_by_time"),)
    operations = (migrations.RunPython(create_documents),)
