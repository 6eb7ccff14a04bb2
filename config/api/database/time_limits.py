"""Limits the time of the statements in a block, on PostgreSQL and SQLite."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from config.api.problems.errors import ApiError

# Such a statement reads many rows by bitmaps. In the 4 MB of PostgreSQL's default a bitmap soon knows only pages, whose
# rows are then all compared: a search took five times as long.
LEAST_MEMORY = 32 * 2**20
# And the same statement gives the same rows: a scan that ends at its LIMIT would begin where another has stopped, and a
# search for a common word find other products for each page.
LIMIT = """
SELECT set_config('statement_timeout', %s, true),
       set_config('work_mem', greatest(pg_size_bytes(current_setting('work_mem')), %s) || 'B', true),
       set_config('synchronize_seqscans', 'off', true),
       set_config('enable_seqscan', %s, true)"""

# SQLite checks the time after this number of its virtual machine's instructions, which take about 0.1 ms.
SQLITE_STEPS = 10_000


@dataclass(frozen=True)
class TimeLimit:
    """The most milliseconds that a statement may take. `refuse` makes the error for a statement that takes longer.

    With `retry_ms`, PostgreSQL tries it once more for so long, by indexes. The planner takes matching rows to lie
    evenly in a table, and scans it until it has enough of them; they may all lie at its end.
    """

    milliseconds: int
    refuse: Callable[[], ApiError]
    retry_ms: int = 0


@contextmanager
def end_after(connection: Any, milliseconds: int, by_indexes: bool = False) -> Iterator[None]:
    """End the statements of the block after this time. Does nothing in a transaction, which would fail as a whole.

    `by_indexes`: PostgreSQL scans no table that has an index for the statement.
    """
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic(using=connection.alias):
            # Sent by the driver, so that observers don't see it. PgBouncer keeps a transaction on one connection.
            connection.connection.execute(LIMIT, [str(milliseconds), LEAST_MEMORY, "off" if by_indexes else "on"])
            yield
    else:
        connection.ensure_connection()
        end = time.monotonic() + milliseconds / 1000
        connection.connection.set_progress_handler(lambda: time.monotonic() > end, SQLITE_STEPS)
        try:
            yield
        finally:
            connection.connection.set_progress_handler(None, 0)
