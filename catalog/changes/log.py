"""Maintains the change log: gives positions to committed changes, and deletes old ones.

On PostgreSQL the triggers write changes into an inbox, in the writer's transaction. A worker, or a process that is
about to read the log, then moves committed changes into the log and numbers them. An advisory lock allows one process
at a time, so a change that commits late never gets a position before one that was already read.
On SQLite the triggers write the log directly: only one transaction writes at a time.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone

from catalog.changes.entities import list_tables
from catalog.changes.models import Change
from catalog.tallies.triggers import CORRECTED
from config.api.database.lost_connections import read_again
from config.api.database.replicas import choose_again
from config.api.database.statements import fetch_row
from config.api.freshness.leases import LogState
from config.metrics import Gauges
from config.process.affinity import go_anywhere

logger = logging.getLogger("tenfold.changes")

# With more new changes than this, a follower assumes that every table has changed.
FOLLOWED_AT_ONCE = 1_000

# Changes that are numbered at once: 10,000 with `before` take 0.2 s, while other processes that number wait.
NUMBER_BATCH = 10_000
PURGE_BATCH = 5_000
# The seconds that a worker may spend on a backlog, such as an import leaves, at each run.
BACKLOG_SECONDS = 2.0


def keep_log() -> None:
    """A worker calls this every few seconds: it numbers waiting changes, and deletes a batch of old ones."""
    end = time.monotonic() + BACKLOG_SECONDS
    while number_batch() and time.monotonic() < end:
        pass
    purge_changes(timezone.now() - timedelta(days=settings.CHANGE_RETENTION_DAYS))


def number_changes() -> int:
    """Numbers committed changes, at most NUMBER_BATCH, oldest first. Returns how many. One short query."""
    if connection.vendor != "postgresql":
        return 0
    numbered = call_function("catalog_number_changes(%s)", NUMBER_BATCH)
    choose_again()  # the next read of the log must see them, so a replica may be too old
    return numbered


def number_batch() -> bool:
    """Numbers a batch, and returns whether more changes wait."""
    return number_changes() == NUMBER_BATCH


def number_all() -> None:
    """Numbers all committed changes. Call it after writing many rows: nothing is cached before they are numbered."""
    while number_batch():
        pass


def refresh_log_statistics() -> None:
    """Let PostgreSQL look at the log's rows, for after many changes: it reads the log whole for a batch else.

    Of 540,000 changes those of 1,000 products took 578 ms before, 10 after; the look itself takes a second.
    """
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(Change._meta.db_table)}")


@contextmanager
def number_meanwhile() -> Iterator[Callable[[], None]]:
    """Number changes while others are written: the block calls the function after each commit.

    A thread does it, on a connection of its own, so the writer doesn't wait. What is left is for `number_all`.
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        yield lambda: None
        return
    with ThreadPoolExecutor(1, thread_name_prefix="numbering", initializer=go_anywhere) as thread:
        last = thread.submit(lambda: None)

        def number() -> None:
            nonlocal last
            if last.done():
                last = thread.submit(number_apart)

        yield number


def number_apart() -> None:
    try:
        number_all()
    except DatabaseError as error:
        logger.debug("Changes aren't numbered yet: %s", error)
    finally:
        connections.close_all()


# What a look at the log tells beside the logged entities: brands or categories have another `product_count`. An answer
# that reads nothing else of products follows this, and not each price.
COUNTED, COUNTED_TABLE = "tally", "catalog_tally"

# Corrected tallies are no change of a row, so they aren't in the log: they begin another epoch.
EPOCH_END = f"coalesce((SELECT '-' || number FROM {COUNTED_TABLE} WHERE category = {CORRECTED}), '')"  # noqa: S608 (ours)

FOLLOW_POSTGRESQL = f"""
SELECT newest, changed, (pg_current_wal_insert_lsn() - '0/0')::bigint,
       (SELECT oid::text FROM pg_database WHERE datname = current_database()) || '-' || pg_postmaster_start_time()
       || {EPOCH_END}
FROM catalog_follow_counts(%s::bigint, %s::integer)
"""  # noqa: S608 (ours)
FOLLOW_SQLITE = f"SELECT (SELECT coalesce(max(position), 0) FROM catalog_change), {EPOCH_END}"  # noqa: S608 (ours)
CHANGED_SQLITE = "SELECT DISTINCT entity FROM catalog_change WHERE position > %s LIMIT 100"
# As catalog_follow_counts() on PostgreSQL.
COUNTED_SQLITE = """
SELECT EXISTS (
    SELECT 1 FROM catalog_change c LEFT JOIN catalog_product p ON p.id = c.entity_id
    WHERE c.position > %s AND c.entity = 'product' AND (
        c.op <> 'update' OR c.before IS NULL OR p.id IS NULL
        OR json_extract(c.before, '$.brand_id') IS NOT p.brand_id
        OR json_extract(c.before, '$.category_id') IS NOT p.category_id
        OR json_extract(c.before, '$.status') IS NOT p.status
    )
)"""


def follow_changes(after: int) -> LogState | None:
    """What has changed after position `after`; None if more than FOLLOWED_AT_ONCE changes wait for their position."""
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            return follow_file(cursor, after)
    # Prepared, and without a test of the connection first: it runs fifty times a second, and this halves its time.
    fetch = partial(fetch_row, connection, FOLLOW_POSTGRESQL, [after, FOLLOWED_AT_ONCE])
    newest, changed, reached, epoch = read_again(connection, fetch)
    return None if newest is None else LogState(epoch, newest, name_tables(changed), reached)


def follow_file(cursor: Any, after: int) -> LogState:
    """`follow_changes` on SQLite. The epoch has the file's device and inode: another file has another log."""
    cursor.execute(FOLLOW_SQLITE)
    newest, end = cursor.fetchone()
    changed: list[str] | None = []
    if newest != after:
        changed = None
        if 0 < newest - after <= FOLLOWED_AT_ONCE:
            cursor.execute(CHANGED_SQLITE, [after])
            changed = [entity for (entity,) in cursor.fetchall()]
            cursor.execute(COUNTED_SQLITE, [after])
            changed += [COUNTED] if cursor.fetchone()[0] else []
    file = os.stat(connection.settings_dict["NAME"])
    return LogState(f"{file.st_dev}-{file.st_ino}{end}", newest, name_tables(changed), newest)


def name_tables(entities: list[str] | None) -> frozenset[str] | None:
    """The entities' tables; None, which means any table, if this release doesn't know one of the entities."""
    if entities is None:
        return None
    tables = {**list_tables(), COUNTED: COUNTED_TABLE}
    unknown = [entity for entity in entities if entity not in tables]
    for entity in unknown:
        warn_of(entity)
    return None if unknown else frozenset(tables[entity] for entity in entities)


@cache
def warn_of(entity: str) -> None:
    """Warns once for each process: in a rolling deploy, a later release may log more tables for hours."""
    logger.warning(
        "The change log names %r, an entity that this release doesn't know. Each change of it counts as a change of"
        " every table, so the cache keeps less. Run the same release everywhere.",
        entity,
    )


def purge_changes(oldest: datetime) -> int:
    """Deletes at most PURGE_BATCH changes numbered before `oldest`, but never the newest change. Returns how many."""
    if connection.vendor == "postgresql":
        return call_function("catalog_purge_changes(%s, %s)", oldest, PURGE_BATCH)
    with transaction.atomic():
        newest = Change.objects.values_list("position", flat=True).first() or 0
        old = Change.objects.filter(numbered_at__lt=oldest, position__lt=newest).order_by("numbered_at", "position")
        return Change.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:PURGE_BATCH])).delete()[0]


WAITING = "SELECT extract(epoch FROM clock_timestamp() - at) FROM catalog_change_inbox ORDER BY id LIMIT 1"


# More aren't counted: a count of millions would take seconds at each scrape.
MOST_COUNTED = 100_000
BACKLOG = "SELECT count(*) FROM (SELECT FROM catalog_change_inbox ORDER BY id LIMIT %s) waiting"


def read_lag() -> Gauges:
    return {("change_feed_lag_seconds",): measure_lag(), ("change_feed_waiting",): float(count_waiting())}


def count_waiting() -> int:
    """The committed changes without a position, up to MOST_COUNTED."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(BACKLOG, [MOST_COUNTED])
        return int(cursor.fetchone()[0])


def find_backlog() -> Iterator[tuple[str, str]]:
    """A sentence and a remedy, if so many changes wait that nothing is cached."""
    if (waiting := count_waiting()) > FOLLOWED_AT_ONCE:
        least = "At least " if waiting == MOST_COUNTED else ""
        detail = f"{least}{waiting} changes wait for their position in the change log; until then nothing is cached."
        yield detail, "Run make worker, or wait: each server numbers them little by little."


def measure_lag() -> float:
    """Age in seconds of the oldest committed change without a position. One query, by primary key, on PostgreSQL."""
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return max(0.0, float((cursor.fetchone() or [0.0])[0]))


def call_function(call: str, *values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {call}", values)
        return int(cursor.fetchone()[0])
