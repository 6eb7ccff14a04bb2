"""How far a database is: a whole number that grows with its writes, for `X-Data-Version` and `X-Min-Version`.

On PostgreSQL it is the position in the write-ahead log in bytes, which replicas follow; on SQLite the position of
the newest change. Clients may compare two of one database; nobody may count with them.

What is read with `X-Min-Version: P` comes from where `read_position() >= P`, or from the primary, which has it all,
also after a replica took its place with a log that is shorter than P.
"""

from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.models import Max

from config.api.database.lost_connections import read_again
from config.api.problems.errors import InvalidHeader

# What is flushed: more, such as what an import has written so far, replicas can't have yet. Without synchronous_commit
# a commit is acknowledged before it is flushed.
HERE = """(CASE current_setting('synchronous_commit') WHEN 'off' THEN pg_current_wal_insert_lsn()
          ELSE pg_current_wal_flush_lsn() END - '0/0')::bigint"""
WRITTEN = f"SELECT {HERE}"

# A commit stands in the log before others can see it, and its writer reads the position only once they can. So on the
# primary a query shows for sure what lies before the position, and not what ends at it; on a replica what is replayed
# is seen.
SEEN = f"""
SELECT CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn() - '0/0', 0)::bigint ELSE {HERE} - 1 END
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
    connection = connections[database]
    return read_again(connection, partial(fetch_number, connection, sql))


def fetch_number(connection: Any, sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])


def is_position(text: str) -> bool:
    # int() alone takes blanks, signs and other scripts' digits too; and nineteen digits are quickly read.
    return text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= GREATEST


def parse_position(text: str, header: str = "X-Min-Version") -> int:
    """InvalidHeader (400) for what no `X-Data-Version` can have been."""
    if not is_position(text):
        raise InvalidHeader(header, f"{text[:30]!r} is no version.", "Send the X-Data-Version of a write as it came.")
    return int(text)
