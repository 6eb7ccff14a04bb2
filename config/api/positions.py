"""How far a database is: a whole number that grows with its writes, for `X-Data-Version` and `X-Min-Version`.

On PostgreSQL it is the position in the write-ahead log in bytes, which replicas follow; on SQLite the position of
the newest change. Clients may compare two of one database; nobody may count with them.

What is read with `X-Min-Version: P` comes from where `read_position() >= P`, or from the primary, which has it all,
also after a replica took its place with a log that is shorter than P.
"""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.models import Max

from config.api.errors import InvalidHeader
from config.api.statements import open_cursor

# The insert position: with synchronous_commit off, the written one may lie before one's own commit.
WRITTEN = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"

# A commit stands in the log before others can see it, and its writer reads the position only once they can. So on the
# primary a query shows for sure what lies before the position, and not what ends at it; on a replica what is replayed
# is seen.
SEEN = """
SELECT CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn() - '0/0', 0)::bigint
            ELSE (pg_current_wal_insert_lsn() - '0/0')::bigint - 1 END
"""

GREATEST = 2**63 - 1


def read_written_position() -> int:
    """Of the primary once a transaction is committed: whoever reads from there on sees it. One query (0.1 ms)."""
    if connections["default"].vendor != "postgresql":
        return read_newest_change()
    return ask("default", WRITTEN)


def read_position(database: str = "default") -> int:
    """What a query of `database` that begins now is sure to show; one query (0.1 ms)."""
    if connections[database].vendor != "postgresql":
        return read_newest_change()
    return ask(database, SEEN)


def read_newest_change() -> int:
    """SQLite's one writer at a time makes a change visible together with its position; 0 before the first."""
    changes = apps.get_model(settings.CHANGE_MODEL)._default_manager
    return int(changes.aggregate(newest=Max("position"))["newest"] or 0)


def ask(database: str, sql: str) -> int:
    with open_cursor(connections[database]) as cursor:
        cursor.execute(sql)
        position: Any = cursor.fetchone()[0]
        return int(position)


def parse_position(text: str, header: str = "X-Min-Version") -> int:
    """InvalidHeader (400) for what no `X-Data-Version` can have been."""
    # int() alone takes blanks, signs and other scripts' digits too; and nineteen digits are quickly read.
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= GREATEST):
        raise InvalidHeader(header, f"{text[:30]!r} is no version.", "Send the X-Data-Version of a write as it came.")
    return int(text)
