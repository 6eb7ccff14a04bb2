"""How long PostgreSQL may work, wait for a lock, or be kept waiting inside a transaction: by what the process is.

Said by each new connection itself, in one statement, since PgBouncer refuses startup options. Behind a PgBouncer in
transaction mode the connection isn't the server's own, so there `ALTER ROLE … SET statement_timeout` has to say it.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.backends.signals import connection_created

# The aliases of exports, which read by connections of their own.
EXPORTS = "exports"


@dataclass(frozen=True)
class Limits:
    """Milliseconds; PostgreSQL ends what goes past them."""

    statement: int
    lock: int
    idle_in_transaction: int


# A caller of the API waits for it. A chunk of an export takes a second, tasks of a worker take minutes: for both a
# limit only has to be there, so that nothing holds its locks and its snapshot for ever.
EXPORT = Limits(60_000, 10_000, 60_000)
WORKER = Limits(600_000, 60_000, 300_000)


def limit_api() -> Limits:
    return Limits(settings.STATEMENT_TIMEOUT_MS, settings.STATEMENT_TIMEOUT_MS // 2, 10_000)


SET_LIMITS = """
SELECT set_config('statement_timeout', CASE WHEN own THEN %s ELSE current_setting('statement_timeout') END, false),
    set_config('lock_timeout', CASE WHEN own THEN %s ELSE current_setting('lock_timeout') END, false),
    set_config('idle_in_transaction_session_timeout',
        CASE WHEN own THEN %s ELSE current_setting('idle_in_transaction_session_timeout') END, false)
FROM (SELECT pg_backend_pid() = %s AS own) connection
"""


class Keeper:
    """Holds the connections of this process to `limits`."""

    def __init__(self) -> None:
        self.limits: Limits | None = None

    def begin(self, limits: Limits) -> None:
        """From here on; commands such as migrate never begin, and take as long as they take."""
        self.limits = limits
        connection_created.connect(self.hold)

    def hold(self, sender: Any, connection: Any, **kwargs: Any) -> None:
        """A receiver of `connection_created`, which a pool's connection sends each time it is borrowed."""
        limits = EXPORT if connection.alias.startswith(EXPORTS) else self.limits
        driver = connection.connection
        if limits is None or connection.vendor != "postgresql" or getattr(driver, "limits", None) == limits:
            return
        # A pooler gives its clients numbers of its own: what one of them sets would hold for whoever comes next.
        values = (limits.statement, limits.lock, limits.idle_in_transaction, driver.info.backend_pid)
        driver.execute(SET_LIMITS, [str(value) for value in values[:3]] + [values[3]])
        driver.limits = limits


KEEPER = Keeper()
