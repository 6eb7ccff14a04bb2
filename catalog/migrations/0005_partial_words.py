"""Names of products by the letters inside their words: a trigram index on PostgreSQL, a second FTS5 table on SQLite."""

from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError, migrations

from catalog.migrations.sql import run_script

REFUSED = (
    "PostgreSQL doesn't give database {name!r} its extension pg_trgm, by which parts of words are found: {error}\n"
    'Let a superuser run CREATE EXTENSION pg_trgm in it once (psql -d {name} -c "CREATE EXTENSION pg_trgm"; where '
    "its files are missing, the package is postgresql-contrib), then migrate again."
)


def create_extension(apps: Any, editor: Any) -> None:
    if editor.connection.vendor != "postgresql":
        return
    try:
        with editor.connection.cursor() as cursor:
            # Trusted since PostgreSQL 13: the database's owner may, unless somebody forbade it.
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DatabaseError as error:
        name = editor.connection.settings_dict["NAME"]
        raise CommandError(REFUSED.format(name=name, error=str(error).strip())) from error


def create_names(apps: Any, editor: Any) -> None:
    run_script(editor, "0005_partial_words")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0004_change_log"),)
    operations = (migrations.RunPython(create_extension), migrations.RunPython(create_names))
