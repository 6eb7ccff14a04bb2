"""Gives the rows that were there before the triggers their first price, in batches, each a transaction.

What a batch can't lock, somebody writes at the moment: it is left for the next round. So nobody waits for a lock that
waits for us.
"""

import time
from typing import Any

from django.db import transaction

# About a tenth of a second of writes.
BATCH_ROWS = 5_000
WAIT_SECONDS = 0.2

# A product has a price from its first variant on.
MISSING = {
    "variant": "NOT EXISTS (SELECT 1 FROM catalog_variantprice e WHERE e.variant_id = o.id)",
    "product": (
        "EXISTS (SELECT 1 FROM catalog_variant v WHERE v.product_id = o.id)"
        " AND NOT EXISTS (SELECT 1 FROM catalog_productprice e WHERE e.product_id = o.id)"
    ),
}
CURRENCY = {
    "variant": "(SELECT p.currency FROM catalog_product p WHERE p.id = o.product_id)",
    "product": "o.currency",
}
NEXT = "SELECT o.id FROM catalog_{kind} o WHERE o.id > %s AND {missing} ORDER BY o.id LIMIT {size}"
LOCK = "SELECT o.id FROM catalog_{kind} o WHERE o.id BETWEEN %s AND %s ORDER BY o.id FOR NO KEY UPDATE SKIP LOCKED"
NOW = {"postgresql": "clock_timestamp()", "sqlite": "(SELECT now FROM catalog_now)"}
# Another statement than the one that locks, so that it sees what was written before the lock.
FILL = """
INSERT INTO catalog_{kind}price ({kind}_id, price, currency, since, writer)
SELECT o.id, o.price, {currency}, {now}, 0 FROM catalog_{kind} o WHERE {which} AND {missing} ORDER BY o.id"""


def fill_prices(connection: Any, size: int = BATCH_ROWS) -> int:
    """Returns the number of rows that it filled. Safe to stop and to run again."""
    return sum(fill_table(connection, kind, size) for kind in MISSING)


def fill_table(connection: Any, kind: str, size: int) -> int:
    filled = last = 0
    is_left = False
    while True:
        keys = find_next(connection, kind, last, size)
        if not keys and not is_left:
            return filled
        if not keys:
            time.sleep(WAIT_SECONDS)
            last, is_left = 0, False
            continue
        written = fill_batch(connection, kind, keys)
        filled, last, is_left = filled + written, keys[-1], is_left or written < len(keys)


def find_next(connection: Any, kind: str, last: int, size: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(NEXT.format(kind=kind, missing=MISSING[kind], size=size), [last])
        return [key for (key,) in cursor.fetchall()]


def fill_batch(connection: Any, kind: str, keys: list[int]) -> int:
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(LOCK.format(kind=kind), [keys[0], keys[-1]])
            locked = {key for (key,) in cursor.fetchall()}
            keys = [key for key in keys if key in locked]
        if not keys:
            return 0
        cursor.execute(write_fill(connection, kind, f"o.id IN ({', '.join(map(str, keys))})"))
        return int(cursor.rowcount)


def write_fill(connection: Any, kind: str, which: str) -> str:
    """SQL that gives a first price to those rows that meet the condition `which` and have none."""
    names = {"missing": MISSING[kind], "currency": CURRENCY[kind], "now": NOW[connection.vendor]}
    return FILL.format(**names, kind=kind, which=which)


def fill_at_once(connection: Any) -> None:
    """Fill all rows, where nobody else writes: in the caller's transaction, by one statement for each table."""
    with connection.cursor() as cursor:
        for kind in MISSING:
            cursor.execute(write_fill(connection, kind, "TRUE"))
