"""Tables in; a change in the log for each of their rows, as if it had just been inserted.

For who has filled empty tables while the triggers of the log were off.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import Model

from catalog.changes.log import number_all
from catalog.changes.tables import VERSION, LoggedTable, list_tables

CREATED = """
WITH writer AS MATERIALIZED ({writer})
INSERT INTO catalog_change
    ({position}entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id)
SELECT {number}'{entity}', 'create', n.{key}, {version}, {sku}, {product}, w.now, w.now, w.actor, w.request_id
FROM writer w CROSS JOIN {table} n {joins}"""
# As the triggers of in_postgresql.py and in_sqlite.py, and the function that numbers.
WRITER = {
    "postgresql": """
        SELECT greatest(clock_timestamp(), (SELECT max(numbered_at) FROM catalog_change)) AS now,
            coalesce(nullif(current_setting('tenfold.actor', true), ''), 'role:' || session_user) AS actor,
            coalesce(current_setting('tenfold.request_id', true), '') AS request_id,
            (SELECT coalesce(max(position), 0) FROM catalog_change) AS last""",
    "sqlite": """
        SELECT now, coalesce(tenfold_setting('actor'), '') AS actor,
            coalesce(tenfold_setting('request_id'), '') AS request_id FROM catalog_now""",
}
POSITION = {
    "postgresql": {"position": "position, ", "number": "w.last + row_number() OVER (), "},
    "sqlite": {"position": "", "number": ""},
}
# The lock of catalog_number_changes(): until the transaction ends nobody else gives positions.
OPEN = (
    "SELECT pg_advisory_xact_lock('catalog_change'::regclass::bigint), set_config('tenfold.change_log', 'open', true)"
)
CLOSE = "SELECT set_config('tenfold.change_log', '', true)"


def log_created(connection: Any, models: Iterable[type[Model]]) -> None:
    """In the caller's transaction, whose own changes so far get their positions before."""
    is_locked = connection.vendor == "postgresql"
    number_all()
    with connection.cursor() as cursor:
        cursor.execute(OPEN if is_locked else "SELECT 1")
        for table in list_tables(models, connection.ops.quote_name):
            cursor.execute(write_created(connection.vendor, table))
        cursor.execute(CLOSE if is_locked else "SELECT 1")


def write_created(vendor: str, table: LoggedTable) -> str:
    """SQL that logs all rows of a table."""
    return CREATED.format(
        writer=WRITER[vendor], **POSITION[vendor], entity=table.logged.entity, key=table.key,
        version=f"n.{table.quote(VERSION)}" if table.is_versioned else "NULL",
        sku=table.find_sku("n"), product=table.find_product("n"), table=table.quote(table.name), joins=table.join("n"),
    )  # fmt: skip
