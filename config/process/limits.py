"""How long PostgreSQL may run a statement, wait for a lock, or wait within a transaction, for each kind of process.

Each new connection sets its limits by one statement, since PgBouncer refuses startup options. Behind a PgBouncer in
transaction mode the connection isn't the server's own; there `ALTER ROLE … SET statement_timeout` must set them.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.backends.signals import connection_created

# Exports read by connections of their own, whose aliases begin with this.
EXPORTS = "exports"


@dataclass(frozen=True)
class Limits:
    """Milliseconds; PostgreSQL ends what goes past them. Without `jit` it compiles no statement to machine code."""

    statement: int
    lock: int
    idle_in_transaction: int
    jit: bool = True


# A chunk of an export takes a second, a worker's task minutes. Both have generous limits, so that no statement holds
# its locks and its snapshot for ever. To compile a chunk's statement takes longer than to run it: of a chunk of 3,000
# products in Google's form, a product takes 27 to 33 microseconds of CPU with it, 15 without (PostgreSQL 15). So it is
# with pages: the planner takes a step that is rarely run for as dear as one that is (reads/unserved.py), and a page of
# all but one brand by title takes 38 ms of the database with it, 2 without.
EXPORT = Limits(60_000, 10_000, 60_000, jit=False)
WORKER = Limits(600_000, 60_000, 300_000)


def limit_api() -> Limits:
    return Limits(settings.STATEMENT_TIMEOUT_MS, settings.STATEMENT_TIMEOUT_MS // 2, 10_000, jit=False)


SET_LIMITS = """
SELECT set_config('statement_timeout', CASE WHEN own THEN %s ELSE current_setting('statement_timeout') END, false),
    set_config('lock_timeout', CASE WHEN own THEN %s ELSE current_setting('lock_timeout') END, false),
    set_config('idle_in_transaction_session_timeout',
        CASE WHEN own THEN %s ELSE current_setting('idle_in_transaction_session_timeout') END, false),
    set_config('jit', CASE WHEN own AND NOT %s THEN 'off' ELSE current_setting('jit') END, false)
FROM (SELECT pg_backend_pid() = %s AS own) connection
"""


class Keeper:
    """Sets `limits` on each connection of this process."""

    def __init__(self) -> None:
        self.limits: Limits | None = None

    def begin(self, limits: Limits | None = None) -> None:
        """Limit every connection made from now on; without `limits`, only those of exports. Commands such as migrate
        don't call it, and have no limits.
        """
        self.limits = limits
        connection_created.connect(self.hold)

    def hold(self, sender: Any, connection: Any, **kwargs: Any) -> None:
        """A receiver of `connection_created`, which a pool's connection sends each time it is borrowed."""
        limits = EXPORT if connection.alias.startswith(EXPORTS) else self.limits
        driver = connection.connection
        if limits is None or connection.vendor != "postgresql" or getattr(driver, "limits", None) == limits:
            return
        # SET_LIMITS compares the backend's number: behind a pooler it differs, and a limit that one client set would
        # hold for the next one.
        waits = map(str, (limits.statement, limits.lock, limits.idle_in_transaction))
        driver.execute(SET_LIMITS, [*waits, limits.jit, driver.info.backend_pid])
        driver.limits = limits


KEEPER = Keeper()
