"""A connection and a time in; on PostgreSQL and SQLite statements within the block end once that time is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from config.api.problems.errors import ApiError

# SQLite asks whether to go on after so many steps of its machine, which are some 0.1 ms.
SQLITE_STEPS = 10_000


@dataclass(frozen=True)
class TimeLimit:
    """How many milliseconds a statement may take; `refuse` makes the error for one that takes longer."""

    milliseconds: int
    refuse: Callable[[], ApiError]


@contextmanager
def end_after(connection: Any, milliseconds: int) -> Iterator[None]:
    """Within a transaction nothing is limited: a statement that ends early would end the transaction."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic(using=connection.alias):
            # By the driver, since it is no statement of the request's. PgBouncer keeps a transaction on one connection.
            connection.connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
            yield
    else:
        connection.ensure_connection()
        end = time.monotonic() + milliseconds / 1000
        connection.connection.set_progress_handler(lambda: time.monotonic() > end, SQLITE_STEPS)
        try:
            yield
        finally:
            connection.connection.set_progress_handler(None, 0)
