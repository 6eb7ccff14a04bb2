"""Creates an extension of PostgreSQL in a migration."""

from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

REFUSED = (
    "PostgreSQL doesn't give database {database!r} its extension {name}, {purpose}: {error}\n"
    'Let a superuser run CREATE EXTENSION {name} in it once (psql -d {database} -c "CREATE EXTENSION {name}"; where '
    "its files are missing, the package is postgresql-contrib), then migrate again."
)


def create_extension(editor: Any, name: str, purpose: str) -> None:
    """Raises CommandError, with the remedy, if the role may not. `purpose` is a clause: `by which words are found`."""
    if editor.connection.vendor != "postgresql":
        return
    try:
        with editor.connection.cursor() as cursor:
            # Trusted since PostgreSQL 13: the database's owner may, unless somebody forbade it.
            cursor.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")
    except DatabaseError as error:
        database = editor.connection.settings_dict["NAME"]
        told = REFUSED.format(database=database, name=name, purpose=purpose, error=str(error).strip())
        raise CommandError(told) from error
