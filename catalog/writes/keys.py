"""A table and a number in, as many new keys out: rows can refer to others that are inserted later (in one transaction).

Foreign keys are checked at the end of a transaction. What a product has may so be written before it, and the triggers
that would derive the product anew find none.
"""

from collections.abc import Sequence

from django.db import connection
from django.db.models import Model

# The sequence is looked for once: for each key that took nine tenths of the time.
POSTGRESQL = """
SELECT nextval(name) FROM (SELECT pg_get_serial_sequence(%s, %s)::regclass AS name OFFSET 0) sequence,
    generate_series(1, %s)
"""
# The greatest key that a row ever had. Only one transaction writes at a time.
SQLITE = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = %s), 0)"


def take_keys(model: type[Model], number: int) -> Sequence[int]:
    """`number` keys that no other row gets, ascending. One query, in the transaction that inserts the rows."""
    table, key = model._meta.db_table, model._meta.pk.column
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL, [table, key, number])
            return [key for (key,) in cursor.fetchall()]
        cursor.execute(SQLITE, [table])
        (last,) = cursor.fetchone()
        return range(last + 1, last + 1 + number)
