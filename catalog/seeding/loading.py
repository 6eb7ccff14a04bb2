"""New rows of one table in, the rows in the database out: by COPY on PostgreSQL, by one prepared INSERT on SQLite.

Nothing is asked back, so keys that other rows need are in the rows. catalog/writes makes a model of each row, since it
compares it with the stored one; here that would be half of the time.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection, models

from catalog.writes.batches import find_writer
from config.api.freshness.commits import expect_commit

# Columns by attname.
type Row = Mapping[str, Any]


def load(model: type[models.Model], rows: Sequence[Row]) -> None:
    """Insert the rows in their order. Each has the same columns; the model's defaults are those of all others."""
    if not rows:
        return
    meta = model._meta
    fields = [field for field in meta.concrete_fields if field is not meta.auto_field or field.attname in rows[0]]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    values = zip(*(list_column(field, rows) for field in fields), strict=True)
    insert = copy_in if connection.vendor == "postgresql" else insert_all
    insert(f"{meta.db_table} ({columns})", len(fields), values)


def list_column(field: Any, rows: Sequence[Row]) -> Iterable[Any]:
    default = field.get_default()
    values = [row.get(field.attname, default) for row in rows]
    if connection.vendor != "postgresql":
        write = find_writer(field)
    else:
        write = json.dumps if isinstance(field, models.JSONField) else None
    return [None if value is None else write(value) for value in values] if write else values


def copy_in(table: str, _: int, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    expect_commit(connection)  # no observer of statements sees a COPY


def insert_all(table: str, width: int, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * width)})", list(rows))  # noqa: S608 (ours)
