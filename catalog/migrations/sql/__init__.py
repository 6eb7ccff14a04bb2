"""The SQL that migrations run, one file a migration and database; read and cut into statements here."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from django.db.backends.base.schema import BaseDatabaseSchemaEditor

FOLDER = Path(__file__).parent


def run_script(editor: BaseDatabaseSchemaEditor, migration: str) -> None:
    vendor = editor.connection.vendor
    script = (FOLDER / f"{migration}.{vendor}.sql").read_text()
    with editor.connection.cursor() as cursor:
        for statement in split_statements(script) if vendor == "sqlite" else (script,):
            cursor.execute(statement)


def split_statements(script: str) -> Iterator[str]:
    """One statement at a time: SQLite takes no more, and a trigger's body has semicolons of its own."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
