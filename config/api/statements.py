"""A queryset of tuples in, its rows out: on PostgreSQL by a prepared statement, since planning is a third of a page.

Django prepares nothing (its cursor binds in the client). Here the statement that the queryset compiles to goes to
the server with its parameters apart, and psycopg keeps it prepared, by its text, on each connection. Page sizes and
names are part of the text, values aren't. `DATABASE_PREPARE=false` turns it off, as behind a PgBouncer before 1.21.
"""

from collections import namedtuple
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import QuerySet
from psycopg.adapt import Loader


class BytesLoader(Loader):
    """JSON text goes into the answer as the bytes that came, neither decoded nor encoded again."""

    def load(self, data: Any) -> bytes:
        return bytes(data)


class PreparedCursor(psycopg.Cursor[Any]):
    """psycopg's own cursor, that prepares at the first use of a statement; Django's wrappers go around it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection)
        self.adapters.register_loader("text", BytesLoader)

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        return super().execute(query, params, prepare=True)


def fetch_rows(rows: QuerySet[Any]) -> list[Any]:
    """All of `rows`, a `values_list` with names; their text columns may come as bytes."""
    connection: Any = connections[rows.db]
    if connection.vendor != "postgresql" or not settings.DATABASE_PREPARE:
        return list(rows)
    try:
        sql, parameters = rows.query.get_compiler(rows.db).as_sql()
    except EmptyResultSet:
        return []  # Django sees by itself that nothing can match
    # As Django's own cursor() does: a connection that broke since the last request is replaced.
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    # Django's wrappers count, time and translate errors, whatever cursor is inside.
    with connection._prepare_cursor(PreparedCursor(connection.connection)) as cursor:
        cursor.execute(sql, parameters)
        make = name_columns(tuple(column.name for column in cursor.description))
        return [make(*row) for row in cursor.fetchall()]


@lru_cache(maxsize=512)
def name_columns(names: Sequence[str]) -> Any:
    return namedtuple("Row", names)
