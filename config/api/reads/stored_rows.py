"""Stores rows that are older than their form, and finds rows whose stored text is wrong (PostgreSQL)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.core import checks
from django.db import connection, connections

from config.api.database.migrations_left import has_migrations_left
from config.api.database.storing import FORM, StoredForm
from config.api.reads.projection import quote_name
from config.api.reads.selections import ReadSerializer, find_model
from config.api.reads.stored_pieces import STORING, find_pieces, list_stored
from config.api.reads.stored_triggers import find_form, write_row, write_text

# Rows of one transaction. They stay locked for 0.1 to 0.3 s.
BATCH = 1_000
# Rows that doctor compares, of each table.
SAMPLE = 1_000

# The trigger writes the pieces.
STORE = """
WITH wanted AS (
    SELECT {key} AS key FROM {table} WHERE {places} ORDER BY {key} LIMIT {size} FOR NO KEY UPDATE
), written AS (
    UPDATE {table} o SET {form} = NULL FROM wanted WHERE o.{key} = wanted.key RETURNING wanted.key
)
SELECT max(key), count(*) FROM written
"""
FUNCTION = """
SELECT p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE t.tgrelid = to_regclass(%s) AND t.tgname = 'stored_row'
"""
ROWS = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass(%s)"
COMPARE = """
SELECT count(*), count(*) FILTER (WHERE {form} IS DISTINCT FROM {number}),
    min({key}) FILTER (WHERE {form} = {number} AND ({differs}))
FROM (SELECT * FROM {table} TABLESAMPLE SYSTEM ({percent}) LIMIT {size}) o
"""


@dataclass(frozen=True)
class StoredTable:
    """The table of a stored serializer, in the database of `connection`."""

    serializer: ReadSerializer

    @cached_property
    def form(self) -> StoredForm:
        form = find_form(self.serializer)
        assert form is not None
        return form

    @property
    def names(self) -> dict[str, Any]:
        key: Any = find_model(self.serializer)._meta.pk
        table = quote_name(self.form.table)
        return {"table": table, "key": quote_name(key.column), "form": FORM, "number": self.form.number}

    def is_current(self, connection: Any) -> bool:
        """Whether the database stores rows in the serializer's form."""
        found = ask(connection, FUNCTION, quote_name(self.form.table))
        # In the migration, the SQL is indented.
        return [body.split() for (body,) in found] == [write_row(self.serializer, self.form.number).split()]

    def count_rows(self) -> int:
        """About how many rows the table has."""
        [(number,)] = ask(connection, ROWS, quote_name(self.form.table))
        return int(number)

    def store_rows(self, is_all: bool) -> Iterator[int]:
        """Store the rows that aren't yet, or all; yields the number of rows of each batch, each a transaction.

        What is stored stays so if it is stopped, and the next call goes on.
        """
        wanted = [] if is_all else ["{form} IS DISTINCT FROM {number}".format(**self.names)]
        after: list[Any] = []
        while True:
            places = " AND ".join([*wanted, *(f"{self.names['key']} > %s" for _ in after)]) or "true"
            [(last, number)] = ask(connection, STORE.format(**self.names, places=places, size=BATCH), *after)
            if not number:
                return
            yield number
            after = [last]

    def find_faults(self) -> Iterator[tuple[str, str]]:
        """A sentence and a remedy for each fault of a sample of rows."""
        percent = min(100.0, 120.0 * SAMPLE / max(self.count_rows(), 1))
        differs = " OR ".join(
            f"{piece.column} IS DISTINCT FROM {write_text(self.serializer, piece, 'o')}"
            for piece in find_pieces(self.serializer)
        )
        sql = COMPARE.format(**self.names, differs=differs, percent=percent, size=SAMPLE)
        [(number, missing, wrong)] = ask(connection, sql.replace("%", "%%"))
        table = self.form.table
        if missing:
            detail = f"{missing} of {number} rows of {table} aren't stored, so each read writes their JSON again."
            yield detail, "Run manage.py store_rows; it may be stopped at any time."
        if wrong is not None:
            detail = f"The stored JSON of rows of {table} isn't what their columns say, as of {wrong}."
            yield detail, "Was the table written while its triggers were off? Run manage.py store_rows --all."


def list_tables() -> list[StoredTable]:
    return [StoredTable(serializer) for serializer in list_stored()]


def find_unstored() -> Iterator[tuple[str, str]]:
    """For doctor: what is wrong with stored rows."""
    if connection.vendor == STORING:
        for table in list_tables():
            if table.is_current(connection):
                yield from table.find_faults()


@checks.register(checks.Tags.database)
def check_forms(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> list[checks.CheckMessage]:
    return [
        checks.Warning(
            f"The rows of {table.form.table} are stored in another form than {table.serializer.__name__}'s, so each"
            " read writes their JSON again.",
            hint="Run makemigrations, migrate and store_rows.",
            id="tenfold.W005",
        )
        for alias in databases or ()
        if connections[alias].vendor == STORING and not has_migrations_left(connections[alias])
        for table in list_tables()
        if not table.is_current(connections[alias])
    ]


def ask(connection: Any, sql: str, *values: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
