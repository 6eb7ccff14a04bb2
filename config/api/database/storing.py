"""A migration operation that keeps pieces of each row's JSON as text beside the row (PostgreSQL).

`makemigrations` writes it for a read serializer with `stored = True` (config/api/reads/stored.py). It holds the SQL of
the triggers as text, so a migration imports no serializer, and does the same for ever.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from django.db import OperationalError, transaction
from django.db.migrations import state
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.serializer import BaseSerializer
from django.db.migrations.writer import MigrationWriter
from django.db.models import options

# The form of the stored pieces is an option of the model in the migrations' state. Models themselves don't have it.
OPTION = "stored"
# The column with the number of the form that a row's pieces have. Null asks the trigger to write them again.
FORM = "stored_form"

# When triggers of statements fire, and the names under which they find the rows.
FIRES = {
    "insert": "AFTER INSERT ON {} REFERENCING NEW TABLE AS new_rows",
    "update": "AFTER UPDATE ON {} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "AFTER DELETE ON {} REFERENCING OLD TABLE AS old_rows",
    "truncate": "AFTER TRUNCATE ON {}",
}

LOCK_MILLISECONDS = 200
LOCK_TRIES = 300
LOCK_TIMED_OUT = "55P03"


@dataclass(frozen=True)
class StoredForm:
    """The pieces that a table keeps of each row, and the SQL of the triggers that write them.

    `number` is the fingerprint of what writes the pieces: another way to write them has another one. `columns` are the
    columns of the pieces. `beside` are the tables whose rows are in a piece, too. `create` may replace the triggers of
    another form; `drop` drops these.
    """

    number: int
    table: str
    columns: tuple[str, ...]
    beside: tuple[str, ...]
    create: tuple[str, ...]
    drop: tuple[str, ...]


class FormWriter(BaseSerializer):
    """Writes a StoredForm into a migration, its SQL as it is read."""

    def serialize(self) -> tuple[str, set[str]]:
        members = ",\n".join(
            f"{field.name}={self.write(getattr(self.value, field.name))}" for field in fields(StoredForm)
        )
        return f"{__name__}.{StoredForm.__name__}(\n{members},\n)", {f"import {__name__}"}

    def write(self, value: Any) -> str:
        if not isinstance(value, tuple):
            return repr(value)
        texts = [f'r"""{text}"""' if "\n" in text else repr(text) for text in value]
        return f"({''.join(f'{text}, ' for text in texts)})"


MigrationWriter.register_serializer(StoredForm, FormWriter)


class StoreRows(Operation):
    """Keeps the rows of model `name` in this form; without a form it keeps them no more.

    Rows that are there already get their pieces from `manage.py store_rows`, and until then reads compile them.
    """

    category = OperationCategory.SQL

    def __init__(self, name: str, form: StoredForm | None = None) -> None:
        self.name, self.form = name, form

    def state_forwards(self, app_label: str, state: Any) -> None:
        found = {OPTION: self.form} if self.form else {}
        state.alter_model_options(app_label, self.name.lower(), found, (OPTION,))

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return
        if self.allow_migrate_model(schema_editor.connection.alias, to_state.apps.get_model(app_label, self.name)):
            old, new = (find_form(each, app_label, self.name) for each in (from_state, to_state))
            with lock_tables(schema_editor, [form for form in (old, new) if form]):
                change_form(schema_editor, old, new)

    database_backwards = database_forwards

    def describe(self) -> str:
        return f"Keep rows of {self.name} as JSON" if self.form else f"Keep rows of {self.name} as JSON no more"

    @property
    def migration_name_fragment(self) -> str:
        return f"store_{self.name.lower()}"


def find_form(project: Any, app_label: str, name: str) -> StoredForm | None:
    """The form of a model's rows in the migrations' state."""
    form: StoredForm | None = project.models[app_label, name.lower()].options.get(OPTION)
    return form


def change_form(editor: Any, old: StoredForm | None, new: StoredForm | None) -> None:
    quote = editor.quote_name
    statements = list(old.drop) if old else []
    if new:
        columns = [f"{quote(FORM)} integer", *(f"{quote(name)} text" for name in new.columns)]
        adding = ", ".join(f"ADD COLUMN IF NOT EXISTS {column}" for column in columns)
        statements += [f"ALTER TABLE {quote(new.table)} {adding}", *new.create]
    elif old:
        # Only now: while another form is kept, a release that knows the old one still reads its columns.
        dropping = ", ".join(f"DROP COLUMN {quote(name)}" for name in list_columns(editor, old.table))
        statements.append(f"ALTER TABLE {quote(old.table)} {dropping}")
    for statement in statements:
        editor.execute(statement, params=None)


COLUMNS = r"""
SELECT attname FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND attname ~ '^stored_(form|\d+)$'
"""


def list_columns(editor: Any, table: str) -> list[str]:
    with editor.connection.cursor() as cursor:
        cursor.execute(COLUMNS, [editor.quote_name(table)])
        return [name for (name,) in cursor.fetchall()]


@contextmanager
def lock_tables(editor: Any, forms: list[StoredForm]) -> Iterator[None]:
    """Locks all tables of the forms at once, for the transaction.

    Writers lock the same tables, in any order. A lock that doesn't come soon is given up with those before it, so
    nobody waits long, and PostgreSQL finds no deadlock, for which it would end a writer.
    """
    if editor.collect_sql:
        yield
        return
    quote, alias = editor.quote_name, editor.connection.alias
    # A table of the old form may have been renamed, in this transaction.
    there = set(editor.connection.introspection.table_names())
    whole = ", ".join(sorted(quote(table) for table in {form.table for form in forms} & there))
    beside = ", ".join(sorted(quote(table) for table in {table for form in forms for table in form.beside} & there))
    with transaction.atomic(alias), editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        (before,) = cursor.fetchone()
        for tries_left in reversed(range(LOCK_TRIES)):
            try:
                with transaction.atomic(alias):
                    cursor.execute(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
                    cursor.execute(f"LOCK TABLE {whole} IN ACCESS EXCLUSIVE MODE")
                    if beside:
                        cursor.execute(f"LOCK TABLE {beside} IN SHARE ROW EXCLUSIVE MODE")
                break
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", None) != LOCK_TIMED_OUT or not tries_left:
                    raise
                time.sleep(LOCK_MILLISECONDS / 1000)
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])
        yield


# The same as for Meta.logged (catalog/changes/logged.py). Not among AlterModelOptions' keys: only StoreRows changes it.
options.DEFAULT_NAMES += (OPTION,)
state.DEFAULT_NAMES = options.DEFAULT_NAMES  # type: ignore[attr-defined]  # the stubs don't know it
