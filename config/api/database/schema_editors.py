"""Schema editors that alter tables with triggers: they drop the triggers before, and create them again after.

For most changes of a column, Django makes a new table on SQLite and copies the rows. This fails while a trigger of
another table names the table, and the table's own triggers are lost. PostgreSQL doesn't change the type of a column
that a trigger's condition names. So the triggers are dropped and created again within the same transaction.

A migration operation (catalog/changes/operations.py) writes the triggers whose names begin with FOLLOWED, and it knows
the columns. Until it has written them again, they may name a column that doesn't exist any more.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.backends.postgresql import schema as postgresql
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresqlWrapper
from django.db.backends.sqlite3 import schema as sqlite
from django.db.backends.sqlite3.base import DatabaseWrapper as SqliteWrapper
from django.db.models import Field, Model

FOLLOWED = "followed_"

# In the order in which they were created: a view comes before the triggers and views that use it.
LIST_SQLITE = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY rowid"

# The triggers whose condition or list of columns names the column.
LIST_POSTGRESQL = """
SELECT DISTINCT t.tgname, pg_get_triggerdef(t.oid)
FROM pg_trigger t
JOIN pg_depend d ON d.classid = 'pg_trigger'::regclass AND d.objid = t.oid
JOIN pg_attribute a ON d.refclassid = 'pg_class'::regclass AND a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE t.tgrelid = to_regclass(%s) AND NOT t.tgisinternal AND a.attname = %s
"""

type Lifted = list[tuple[str, str, str]]


class SqliteEditor(sqlite.DatabaseSchemaEditor):
    """Drops all triggers and views: only SQLite itself knows which of them use a table."""

    def _remake_table(
        self,
        model: type[Model],
        create_field: Any = None,
        delete_field: Any = None,
        alter_fields: Sequence[tuple[Any, Any]] | None = None,
    ) -> None:
        renamed = [(old.column, new.column) for old, new in alter_fields or () if old.column != new.column]
        with self.lift_all(model, renamed):
            super()._remake_table(model, create_field, delete_field, alter_fields)  # type: ignore[misc]  # the stubs don't know it

    def remove_field(self, model: type[Model], field: Field[Any, Any]) -> None:
        with self.lift_all(model):
            super().remove_field(model, field)

    def _alter_field(self, *args: Any, **kwargs: Any) -> None:
        # To rename a column, SQLite rewrites each trigger that names it, and fails if it can't parse one of them.
        with transaction.atomic(self.connection.alias):
            lifted = self.lift(FOLLOWED)
            super()._alter_field(*args, **kwargs)  # type: ignore[misc]  # the stubs don't know it
            self.put_back(lifted)

    @contextmanager
    def lift_all(self, model: type[Model], renamed: Sequence[tuple[str, str]] = ()) -> Iterator[None]:
        """Drop all triggers and views during the block. `renamed` has `(old, new)` names of columns.

        Afterwards the triggers name these columns by their new names.
        """
        with transaction.atomic(self.connection.alias):
            followed = self.lift(FOLLOWED)
            for old, new in renamed:
                self.rename_column(model, old, new)
            others = self.list_lifted("")
            for old, new in reversed(renamed):
                self.rename_column(model, new, old)
            self.lift("")
            yield
            self.put_back(others + followed)

    def list_lifted(self, prefix: str) -> Lifted:
        with self.connection.cursor() as cursor:
            cursor.execute(LIST_SQLITE)
            return [row for row in cursor.fetchall() if row[1].startswith(prefix)]

    def lift(self, prefix: str) -> Lifted:
        lifted = self.list_lifted(prefix)
        for kind, name, _ in reversed(lifted):
            self.execute(f"DROP {kind} {self.quote_name(name)}", params=None)
        return lifted

    def put_back(self, lifted: Lifted) -> None:
        for _, _, statement in lifted:
            self.execute(statement, params=None)

    def rename_column(self, model: type[Model], old: str, new: str) -> None:
        names = {"table": model._meta.db_table, "old_column": old, "new_column": new}
        quoted = {key: self.quote_name(name) for key, name in names.items()}
        self.execute(self.sql_rename_column % quoted, params=None)


class PostgresqlEditor(postgresql.DatabaseSchemaEditor):
    """Drops the triggers that name a column while its type changes. PostgreSQL itself adapts them to a new name."""

    def alter_field(
        self, model: type[Model], old_field: Field[Any, Any], new_field: Field[Any, Any], strict: bool = False
    ) -> None:
        table = self.quote_name(model._meta.db_table)
        lifted = self.list_lifted(table, old_field.column) if old_field.column == new_field.column else []
        for name, _ in lifted:
            self.execute(f"DROP TRIGGER {self.quote_name(name)} ON {table}", params=None)
        super().alter_field(model, old_field, new_field, strict)
        for _, statement in lifted:
            self.execute(statement, params=None)

    def list_lifted(self, table: str, column: str | None) -> list[tuple[str, str]]:
        with self.connection.cursor() as cursor:
            cursor.execute(LIST_POSTGRESQL, [table, column])
            return cursor.fetchall()


def install_editors() -> None:
    SqliteWrapper.SchemaEditorClass = SqliteEditor
    PostgresqlWrapper.SchemaEditorClass = PostgresqlEditor
