"""A table of few rows in, a number out that names the state of all its rows in a snapshot (PostgreSQL).

A read serializer with `stored = True` may also say `kept = True` in its `Meta`. Then each statement that writes some of
the serializer's rows appends a random number to a table. The xor of all numbers names the writes that a snapshot sees,
and so what all rows are there. Two equal states have seen the same writes, on the primary, on a replica, after a
failover, and in a database that was restored from a dump: numbers that count could be the same after different writes.

Writers append, so none waits for another. A chore puts the numbers together, which leaves their xor as it is.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import connection

from config.api.database.storing import FIRES
from config.api.reads.projection import quote_name
from config.api.reads.selections import ReadSerializer, find_model
from config.api.reads.stored_pieces import STORING, is_stored, list_stored

FOLD_EVERY = timedelta(seconds=10)
# Numbers in a table that a page still reads in two microseconds.
MOST_NUMBERS = 20

CREATE = (
    "CREATE TABLE {name} (number bigint NOT NULL DEFAULT hashtextextended(gen_random_uuid()::text, 0))",
    "INSERT INTO {name} DEFAULT VALUES",
    # Imports ask for brands and categories in vain most of the time: a statement without rows changes no state.
    """CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $stored$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM FROM old_rows LIMIT 1;
    ELSIF TG_OP <> 'TRUNCATE' THEN
        PERFORM FROM new_rows LIMIT 1;
    END IF;
    IF FOUND OR TG_OP = 'TRUNCATE' THEN
        INSERT INTO {name} DEFAULT VALUES;
    END IF;
    RETURN NULL;
END $stored$""",
)
# Also in sessions whose session_replication_role turns triggers off.
CREATE_TRIGGER = (
    "CREATE TRIGGER {trigger} {when} FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}",
)
DROP = ("DROP FUNCTION {name}() CASCADE", "DROP TABLE {name}")
# One statement: a snapshot sees the numbers either before or after it.
FOLD = """
WITH taken AS (DELETE FROM {name} WHERE (SELECT count(*) FROM {name}) > {most} RETURNING number)
INSERT INTO {name} SELECT bit_xor(number) FROM taken HAVING count(*) > 0
"""


def is_kept(serializer: ReadSerializer) -> bool:
    return is_stored(serializer) and bool(getattr(serializer.Meta, "kept", False))


def write_state(table: str) -> str:
    """SQL: the state as text, the same for all rows of a statement."""
    return f"(SELECT bit_xor(number)::text FROM {name_writes(table)})"  # noqa: S608 (the table's name is a model's)


def name_writes(table: str) -> str:
    return quote_name(f"stored_{table}_writes")


def list_statements(serializer: ReadSerializer) -> tuple[list[str], list[str]]:
    """The statements that make the table and its triggers, and those that drop them; none if no texts are kept."""
    if not is_kept(serializer):
        return [], []
    name, table = name_writes(find_model(serializer)._meta.db_table), quote_name(find_model(serializer)._meta.db_table)
    create = [sql.format(name=name) for sql in CREATE]
    for event, when in FIRES.items():
        names = {"name": name, "table": table, "trigger": f"stored_writes_{event}", "when": when.format(table)}
        create += [sql.format(**names) for sql in CREATE_TRIGGER]
    return create, [sql.format(name=name) for sql in DROP]


def fold_writes() -> None:
    """A chore. A migration may still be missing."""
    if connection.vendor != STORING:
        return
    with connection.cursor() as cursor:
        for serializer in filter(is_kept, list_stored()):
            name = name_writes(find_model(serializer)._meta.db_table)
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
            if cursor.fetchone()[0]:
                cursor.execute(FOLD.format(name=name, most=MOST_NUMBERS))
