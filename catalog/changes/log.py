"""The change log, kept: what was committed gets its position, and what is too old goes.

On PostgreSQL a change is written into an inbox, in the writer's transaction, and moved into the log by whoever comes
first: a worker, or a process that is about to read the log. One does it at a time, under an advisory
lock, so positions are given in an order in which nothing that commits late stands before what was read already.
On SQLite the triggers write the log itself: its one writer at a time is the order.
"""

import logging
import os
import time
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from catalog.changes.entities import list_tables
from catalog.models import Change
from config.api.database.lost_connections import read_again
from config.api.database.replicas import choose_again
from config.api.database.statements import execute_prepared
from config.api.freshness.leases import LogState
from config.metrics import Gauges

logger = logging.getLogger("tenfold.changes")

# More changes than this at once, and whoever follows takes everything for changed.
FOLLOWED_AT_ONCE = 1_000

# 10,000 changes with the row before take 0.2 s, for which other numberers wait.
NUMBER_BATCH = 10_000
PURGE_BATCH = 5_000
# A worker's beat may take so long over a backlog, such as an import leaves.
BACKLOG_SECONDS = 2.0


def keep_log() -> None:
    """What a worker does every few seconds: number what waits, and delete a batch of what is too old."""
    end = time.monotonic() + BACKLOG_SECONDS
    while number_changes() == NUMBER_BATCH and time.monotonic() < end:
        pass
    purge_changes(timezone.now() - timedelta(days=settings.CHANGE_RETENTION_DAYS))


def number_changes() -> int:
    """Give positions to committed changes, the oldest NUMBER_BATCH of them; how many there were. One short query."""
    if connection.vendor != "postgresql":
        return 0
    numbered = call_function("catalog_number_changes(%s)", NUMBER_BATCH)
    choose_again()  # whoever reads the log next is to find them
    return numbered


FOLLOW_POSTGRESQL = """
SELECT newest, changed, (pg_current_wal_insert_lsn() - '0/0')::bigint,
       (SELECT oid::text FROM pg_database WHERE datname = current_database()) || '-' || pg_postmaster_start_time()
FROM catalog_follow_changes(%s::bigint, %s::integer)
"""
FOLLOW_SQLITE = "SELECT coalesce(max(position), 0) FROM catalog_change"
CHANGED_SQLITE = "SELECT DISTINCT entity FROM catalog_change WHERE position > %s LIMIT 100"


def follow_changes(after: int) -> LogState | None:
    """What has changed behind position `after`; None while more waits for its position than a look can number."""
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            return follow_file(cursor, after)
    newest, changed, reached, epoch = read_again(connection, partial(fetch_state, after))
    return None if newest is None else LogState(epoch, newest, name_tables(changed), reached)


def fetch_state(after: int) -> Any:
    # Prepared, and without a look at the connection beforehand: fifty times a second, half the time.
    with execute_prepared(connection, FOLLOW_POSTGRESQL, [after, FOLLOWED_AT_ONCE]) as cursor:
        return cursor.fetchone()


def follow_file(cursor: Any, after: int) -> LogState:
    """SQLite's: its triggers write the log itself. Another file in the same place is another epoch."""
    cursor.execute(FOLLOW_SQLITE)
    (newest,) = cursor.fetchone()
    changed: list[str] | None = []
    if newest != after:
        changed = None
        if 0 < newest - after <= FOLLOWED_AT_ONCE:
            cursor.execute(CHANGED_SQLITE, [after])
            changed = [entity for (entity,) in cursor.fetchall()]
    file = os.stat(connection.settings_dict["NAME"])
    return LogState(f"{file.st_dev}-{file.st_ino}", newest, name_tables(changed), newest)


def name_tables(entities: list[str] | None) -> frozenset[str] | None:
    """The tables of these entities; None, which means any table, where one of them isn't known here."""
    if entities is None:
        return None
    tables = list_tables()
    unknown = [entity for entity in entities if entity not in tables]
    for entity in unknown:
        warn_of(entity)
    return None if unknown else frozenset(tables[entity] for entity in entities)


@cache
def warn_of(entity: str) -> None:
    """Once a process: a later release, which logs one more table, may write to the same database for hours."""
    logger.warning(
        "The change log names %r, an entity that this release doesn't know: each change of it counts as one of every"
        " table, so the cache keeps less. Run the same release everywhere.",
        entity,
    )


def purge_changes(oldest: datetime) -> int:
    """Delete up to PURGE_BATCH changes that have been in the log since before `oldest`; how many. The newest stays."""
    if connection.vendor == "postgresql":
        return call_function("catalog_purge_changes(%s, %s)", oldest, PURGE_BATCH)
    with transaction.atomic():
        newest = Change.objects.values_list("position", flat=True).first() or 0
        old = Change.objects.filter(numbered_at__lt=oldest, position__lt=newest).order_by("numbered_at", "position")
        return Change.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:PURGE_BATCH])).delete()[0]


WAITING = "SELECT extract(epoch FROM clock_timestamp() - at) FROM catalog_change_inbox ORDER BY id LIMIT 1"


def read_lag() -> Gauges:
    return {("change_feed_lag_seconds",): measure_lag()}


def measure_lag() -> float:
    """Seconds since the oldest committed change that has no position yet; one query on PostgreSQL, by its key."""
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return max(0.0, float((cursor.fetchone() or [0.0])[0]))


def call_function(call: str, *values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {call}", values)
        return int(cursor.fetchone()[0])
