"""Chores: what triggers appended is added up, and once a day all products are counted again."""

import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import batched
from random import sample
from typing import Any

from django.db import connections, transaction

from catalog.tallies.triggers import (
    CORRECTED,
    MOST_VALUES,
    NO_CATEGORY,
    OFF,
    WHOLE,
    write_append,
    write_numbers,
    write_sums,
    write_values,
)

# A read adds up what wasn't folded yet, 100,000 rows in about 20 ms.
FOLD_EVERY = timedelta(seconds=10)
# Rows in a statement, which takes about 50 ms; and statements in a run: a chore shall not keep the worker from others.
BATCH_ROWS, MOST_BATCHES = 10_000, 20
# The categories that are counted at once: a second, if each has 2,000 products.
BATCH = 50

OLDEST = "SELECT id FROM catalog_tallychange ORDER BY id LIMIT %s"
# Every row counts for its category and for the whole catalogue. In one order, so that two runs don't wait for each
# other in a circle.
ADD = """
INSERT INTO catalog_tally (category, kind, key, number)
SELECT category, kind, key, sum(number) FROM (
    SELECT category, kind, key, number FROM {taken} UNION ALL SELECT {whole}, kind, key, number FROM {taken}
) t GROUP BY category, kind, key HAVING sum(number) <> 0 ORDER BY category, kind, key
ON CONFLICT (category, kind, key) DO UPDATE SET number = catalog_tally.number + excluded.number"""
# One statement on PostgreSQL, one transaction on SQLite: a reader sees each row either here or there.
FOLD = """
WITH taken AS (
    DELETE FROM catalog_tallychange WHERE id IN ({oldest} FOR UPDATE SKIP LOCKED) RETURNING category, kind, key, number
), added AS ({add}) SELECT count(*) FROM taken""".format(oldest=OLDEST, add=ADD.format(taken="taken", whole=WHOLE))  # noqa: S608 (ours)
ADD_OLDEST = ADD.format(taken=f"(SELECT * FROM catalog_tallychange WHERE id IN ({OLDEST}))", whole=WHOLE)  # noqa: S608 (ours)
DELETE_OLDEST = f"DELETE FROM catalog_tallychange WHERE id IN ({OLDEST})"  # noqa: S608 (ours)
MARK = f"""
INSERT INTO catalog_tally (category, kind, key, number)
SELECT {OFF}, kind, '', 1 FROM catalog_tally WHERE category = {WHOLE} AND kind LIKE '%.%' AND number > 0
GROUP BY kind HAVING count(*) > {MOST_VALUES}
ON CONFLICT (category, kind, key) DO NOTHING"""  # noqa: S608 (ours)


def fold_tallies(database: str = "default") -> int:
    """Move what was appended to `catalog_tally`. Returns how many rows; the rest is for the next run."""
    folded = 0
    for _ in range(MOST_BATCHES):
        folded += (taken := fold_batch(database))
        if taken < BATCH_ROWS:
            break
    if folded:
        run_alone(database, MARK)
    return folded


def fold_batch(database: str) -> int:
    with transaction.atomic(using=database), connections[database].cursor() as cursor:
        if connections[database].vendor == "postgresql":
            cursor.execute(FOLD, [BATCH_ROWS])
            return int(cursor.fetchone()[0])
        cursor.execute(ADD_OLDEST, [BATCH_ROWS] * 2)
        cursor.execute(DELETE_OLDEST, [BATCH_ROWS])
        return int(cursor.rowcount)


# -- counted again

# By how much the numbers of all categories are more than those of the whole catalogue.
LEVEL = f"""
INSERT INTO catalog_tally (category, kind, key, number)
SELECT {WHOLE}, kind, key, sum(CASE category WHEN {WHOLE} THEN -number ELSE number END)
FROM catalog_tally WHERE category >= {WHOLE} GROUP BY kind, key
HAVING sum(CASE category WHEN {WHOLE} THEN -number ELSE number END) <> 0
ON CONFLICT (category, kind, key) DO UPDATE SET number = catalog_tally.number + excluded.number"""  # noqa: S608 (ours)
# How many corrections there were: kept answers are those of one number (catalog/changes/log.py).
NOTE = f"""
INSERT INTO catalog_tally (category, kind, key, number) VALUES ({CORRECTED}, '', '', 1)
ON CONFLICT (category, kind, key) DO UPDATE SET number = catalog_tally.number + 1"""  # noqa: S608 (ours)
TALLIES = "SELECT category, kind, key, -number FROM {table} WHERE category BETWEEN {first} AND {last}"


def recount(database: str = "default") -> int:
    """Correct the tallies where they are wrong or missing. Returns how many were. Safe to stop and to run again."""
    wrong = 0
    for first, last in list_spans(database):
        wrong += correct(database, write_append(*list_differences(connections[database].vendor, first, last)))
        fold_all(database)
    wrong += correct(database, LEVEL)
    run_alone(database, "DELETE FROM catalog_tally WHERE number = 0")
    return wrong


RECOUNT = "The worker recounts daily. Or: manage.py shell -c 'from catalog.tallies import folding; folding.recount()'"
# The most seconds that `doctor` compares. Of ten million products that is a part, another one each time.
COMPARE_SECONDS = 20
# The tallies of an attribute that isn't counted any longer are as they were.
WRONG = f"""
SELECT coalesce((SELECT slug FROM catalog_category c WHERE c.id = w.category), '-') FROM ({{sums}}) w
WHERE NOT EXISTS (SELECT 1 FROM catalog_tally o WHERE o.category = {OFF} AND o.kind = w.kind) LIMIT 1"""  # noqa: S608 (OFF is a number of ours)


def find_wrong_tallies(database: str = "default") -> Iterator[tuple[str, str]]:
    """Finds products that were written without the triggers, as by a session with `session_replication_role`.

    Lists of their category with another filter may lack them (proofs.py).
    """
    end, spans = time.monotonic() + COMPARE_SECONDS, list(list_spans(database))
    for first, last in sample(spans, len(spans)):
        sums = write_sums(*list_differences(connections[database].vendor, first, last))
        with connections[database].cursor() as cursor:
            cursor.execute(WRONG.format(sums=sums))
            found = cursor.fetchone()
        if found:
            yield f"Some products were written without triggers: lists and counts lack them, as of {found[0]}.", RECOUNT
        if found or time.monotonic() > end:
            return


def fold_all(database: str) -> None:
    while fold_tallies(database) == BATCH_ROWS * MOST_BATCHES:
        pass


def list_spans(database: str) -> Iterator[tuple[int, int]]:
    """The first and the last id of each batch of categories; NO_CATEGORY stands for the products without one."""
    with connections[database].cursor() as cursor:
        cursor.execute("SELECT id FROM catalog_category ORDER BY id")
        keys = [key for (key,) in cursor.fetchall()]
    yield NO_CATEGORY, NO_CATEGORY
    yield from ((batch[0], batch[-1]) for batch in batched(keys, BATCH, strict=False))


def list_differences(vendor: str, first: int, last: int) -> list[str]:
    """Selects whose sums are what the tallies of these categories lack or have too much.

    Products and tallies are read by one statement, so from one moment: a writer's products and what it appended are
    both in it, or both not.
    """
    condition = f"p.category_id BETWEEN {first} AND {last}" if last != NO_CATEGORY else "p.category_id IS NULL"
    products = write_numbers("1", write_values(vendor, "p", "catalog_product", condition))
    tables = ("catalog_tally", "catalog_tallychange")
    return [products, *(TALLIES.format(table=table, first=first, last=last) for table in tables)]


def append_all(connection: Any) -> None:
    """Append what all products count for, where none was counted before. In the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(write_append(write_numbers("1", write_values(connection.vendor, "p", "catalog_product"))))


def correct(database: str, sql: str) -> int:
    """Run a statement that corrects. If it does, it is noted in the same transaction, and nothing kept is current."""
    with transaction.atomic(using=database):
        if wrong := run_alone(database, sql):
            run_alone(database, NOTE)
    return wrong


def run_alone(database: str, sql: str) -> int:
    """Run a statement that corrects. Two at once would both add what is missing. Returns the number of rows."""
    with transaction.atomic(using=database), connections[database].cursor() as cursor:
        if connections[database].vendor == "postgresql":
            cursor.execute("SELECT pg_advisory_xact_lock('catalog_tally'::regclass::oid::bigint)")
        cursor.execute(sql)
        return int(cursor.rowcount)
