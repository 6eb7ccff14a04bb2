"""Triggers, full-text and JSON indexes: what Django's migrations have no words for, one SQL file a database."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

FOLDER = Path(__file__).parent / "sql"


def split_statements(script: str) -> Iterator[str]:
    """One statement at a time: SQLite takes no more, and a trigger's body has semicolons of its own."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def run_script(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    vendor = editor.connection.vendor
    script = (FOLDER / f"0002_triggers.{vendor}.sql").read_text()
    with editor.connection.cursor() as cursor:
        for statement in split_statements(script) if vendor == "sqlite" else (script,):
            cursor.execute(statement)


class Migration(migrations.Migration):
    dependencies = (("catalog", "0001_initial"),)
    operations = (migrations.RunPython(run_script),)
