"""The position of a database: a whole number that grows with its writes, for `X-Data-Version` and `X-Min-Version`.

On PostgreSQL it is the position in the write-ahead log in bytes, which replicas follow. On SQLite it is the position
of the newest change. Clients may compare two positions of one database, and must not calculate with them.

A read with `X-Min-Version: P` uses a database whose `read_position()` is at least P, or the primary. The primary has
every write, even if it was a replica until now and its log is shorter than P.
"""

from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.models import Max

from config.api.database.lost_connections import read_again
from config.api.problems.errors import InvalidHeader

# The flushed position: replicas can't have more yet, such as what a running import has written. Without
# synchronous_commit a commit is acknowledged before it is flushed, so there the inserted position counts.
HERE = """(CASE current_setting('synchronous_commit') WHEN 'off' THEN pg_current_wal_insert_lsn()
          ELSE pg_current_wal_flush_lsn() END - '0/0')::bigint"""
WRITTEN = f"SELECT {HERE}"

# A commit is in the log before others can see it; its writer reads the position once they can. So a query on the
# primary is sure to show what lies before the position, but not what ends at it: hence - 1. On a replica, everything
# replayed is visible.
SEEN = f"""
SELECT CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn() - '0/0', 0)::bigint ELSE {HERE} - 1 END
"""

GREATEST = 2**63 - 1


def read_written_position() -> int:
    """The primary's position after a commit: a read at this position or later sees the commit. One query (0.1 ms)."""
    if connections["default"].vendor != "postgresql":
        return read_newest_change()
    return ask("default", WRITTEN)


def read_position(database: str = "default") -> int:
    """The position up to which a query of `database` is sure to show every write. One query (0.1 ms)."""
    if connections[database].vendor != "postgresql":
        return read_newest_change()
    return ask(database, SEEN)


def read_newest_change() -> int:
    """SQLite's position, 0 before the first change: it has one writer at a time, so none is still invisible."""
    changes = apps.get_model(settings.CHANGE_MODEL)._default_manager
    return int(changes.aggregate(newest=Max("position"))["newest"] or 0)


def ask(database: str, sql: str) -> int:
    connection = connections[database]
    return read_again(connection, partial(fetch_number, connection, sql))


def fetch_number(connection: Any, sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])


def is_position(text: str) -> bool:
    # int() alone would accept blanks, signs and other scripts' digits, and take long for a million digits.
    return text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= GREATEST


def parse_position(text: str, header: str = "X-Min-Version") -> int:
    """The position in a header; InvalidHeader (400) if no `X-Data-Version` can have this text."""
    if not is_position(text):
        raise InvalidHeader(header, f"{text[:30]!r} is not a version.", "Send the X-Data-Version of a write unchanged.")
    return int(text)
