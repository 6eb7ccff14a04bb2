"""The outcomes of this process's last writes in, a sentence for probes out: a database may read and not write.

A broken trigger, a full disk or a read-only standby fails only writes, and a probe that wrote itself would load the
database. So the requests that write tell what they met.
"""

import time
from contextvars import ContextVar

from django.db import DatabaseError, DataError, IntegrityError

from config.api.problems.errors import find_limit

# One failure may be a request's own. Seconds for which failures are told, if no write comes after them.
LEAST_FAILURES = 3
REMEMBERED_SECONDS = 300.0

# The last error of the database in a writing statement of this request; None if there is none.
FAILED: ContextVar[DatabaseError | None] = ContextVar("failed", default=None)


def note_error(error: DatabaseError) -> None:
    """Note an error of a writing statement, unless the request's values, a lock or a limit of time are its reason."""
    if not isinstance(error, IntegrityError | DataError) and find_limit(error) is None:
        FAILED.set(error)


class RecentWrites:
    """How many of the last writes have failed in a row, for the database's sake."""

    def __init__(self) -> None:
        self.failures, self.failed_at, self.name = 0, 0.0, ""

    def note_request(self, has_committed: bool) -> None:
        """Note the outcome of a request that could write, at its end."""
        if error := FAILED.get():
            self.failures, self.failed_at, self.name = self.failures + 1, time.monotonic(), type(error).__name__
            FAILED.set(None)
        elif has_committed:
            self.failures = 0

    def describe(self) -> str:
        """A sentence if the last writes have failed, else an empty text."""
        is_recent = time.monotonic() - self.failed_at < REMEMBERED_SECONDS
        return f"the last {self.failures} failed ({self.name})" if self.failures >= LEAST_FAILURES and is_recent else ""


RECENT_WRITES = RecentWrites()
