"""Remembers whether this process's last writes failed, for probes: a database may answer reads but fail at writes.

Only writes fail with a broken trigger, a full disk or a read-only standby. A probe that writes would load the database,
so the requests that write note their outcome here.
"""

import time
from contextvars import ContextVar

from django.db import DatabaseError, DataError, IntegrityError

from config.api.problems.errors import find_limit

# Fewer failures may be the requests' own fault. And the seconds for which failures are reported if no write follows.
LEAST_FAILURES = 3
REMEMBERED_SECONDS = 300.0

# The database's last error in a statement of this request that writes; None if there was none.
FAILED: ContextVar[DatabaseError | None] = ContextVar("failed", default=None)


def note_error(error: DatabaseError) -> None:
    """Note the error of a statement that writes, unless it comes from the request's values, a lock or a time limit."""
    if not isinstance(error, IntegrityError | DataError) and find_limit(error) is None:
        FAILED.set(error)


class RecentWrites:
    """The number of requests in a row whose writes failed because of the database."""

    def __init__(self) -> None:
        self.failures, self.failed_at, self.name = 0, 0.0, ""

    def note_request(self, has_committed: bool) -> None:
        """Note the outcome of a request that may have written. Called at its end."""
        if error := FAILED.get():
            self.failures, self.failed_at, self.name = self.failures + 1, time.monotonic(), type(error).__name__
            FAILED.set(None)
        elif has_committed:
            self.failures = 0

    def describe(self) -> str:
        """A sentence if the last writes failed, else ""."""
        is_recent = time.monotonic() - self.failed_at < REMEMBERED_SECONDS
        return f"the last {self.failures} failed ({self.name})" if self.failures >= LEAST_FAILURES and is_recent else ""


RECENT_WRITES = RecentWrites()
