"""A cache of read plans, so that a repeated request needs no parsing and no ORM.

A page of 50 took 0.8 ms of server CPU to plan, and 0.75 to read and send. A plan holds no rows: each answer reads them
from the database. If making it ran queries, it holds what they found, such as a category's subtree. Such a plan has a
stamp, as cached answers have, and serves until a table changes that it was made from. A plan is cached only if the view
can name the callers who see the same rows.

If PostgreSQL's planner was asked which way is best (unserved.py), a plan serves for PLANNER_SECONDS. It isn't made
again after each write, since another way gives the same rows.
"""

import math
import re
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from django.core.exceptions import TooManyFieldsSent
from django.http import QueryDict

from config.api.database.observers import note_again, note_statements
from config.api.database.replicas import read_at_least
from config.api.freshness.leases import FRESHNESS, LogLease, Stamp
from config.api.freshness.tables import find_all_tables
from config.process.bounded import BoundedMap

# The most plans in the cache. One takes about 6 KB for its SQL, parameters and queryset.
GREATEST_NUMBER = 1024


# The planner's answer follows its statistics, which autovacuum renews once a minute at most.
PLANNER_SECONDS = 60.0
PLANNER = "EXPLAIN"

# Characters of a query string. A plan holds several copies of it, so requests with a longer one aren't cached.
LONGEST_QUERY = 2048

# Finds the cursor, which isn't part of a plan. It doesn't find a cursor whose name is percent-encoded.
CURSOR = re.compile(r"(?:^|&)cursor=([^&]*)")


@dataclass(frozen=True)
class Reply:
    """The answer of a plan: JSON and its headers."""

    body: bytes
    headers: Mapping[str, str]
    render_seconds: float = 0.0
    rows: int | None = None


class Query(NamedTuple):
    """A query string as Django reads it: its sorted parameters without `cursor`, and the cursor."""

    parameters: tuple[tuple[str, str], ...]
    cursor: str | None


class Question(NamedTuple):
    """The key of a plan: all parts of a request except the plan's value, which is a list's cursor or a row's key."""

    origin: str
    view: type[Any]
    action: str
    audience: Hashable
    arguments: tuple[tuple[str, Any], ...]
    parameters: tuple[tuple[str, str], ...]
    # A list with a cursor has another plan than one without.
    has_cursor: bool


def read_query(text: str) -> Query | None:
    """The query of a request's QUERY_STRING. None if it is too long to cache, or if Django answers it with an error."""
    if len(text) > LONGEST_QUERY:
        return None
    # The pages of a list differ only in their cursors, so the rest is parsed once for all.
    found = CURSOR.search(text) if text.isascii() else None
    query = parse_query(CURSOR.sub("", text, count=1) if found else text)
    if query is None or found is None:
        return query
    return None if query.cursor is not None else Query(query.parameters, unquote_plus(found[1]))


@lru_cache(maxsize=1024)
def parse_query(text: str) -> Query | None:
    """The query in `text`. None if a parameter is repeated, or if there are too many."""
    try:
        lists = dict(QueryDict(text.encode("latin-1")).lists())
    except TooManyFieldsSent:
        return None
    if any(len(values) > 1 for values in lists.values()):
        return None
    [cursor] = lists.pop("cursor", [None])
    return Query(tuple(sorted((name, value) for name, [value] in lists.items())), cursor)


class Made[Plan](NamedTuple):
    """A plan, and the stamp of the tables that it was made from; None if it was made without a query.

    It serves until `until`, in seconds of the monotonic clock.
    """

    plan: Plan
    stamp: Stamp | None
    until: float = math.inf

    @property
    def is_current(self) -> bool:
        """Whether none of the tables has changed, as far as this process may know."""
        if time.monotonic() > self.until:
            return False
        if self.stamp is None:
            return True
        lease = FRESHNESS.peek()
        return lease is not None and self.stamp.is_current(lease)


class Plans[Plan](BoundedMap[Hashable, Made[Plan]]):
    """The plans that were used last, by key."""

    def find_current(self, key: Hashable) -> Plan | None:
        made = self.find(key)
        if made is None or not made.is_current:
            return None
        # A cached answer is current until a table changes that it or its plan was made from.
        note_again(made.stamp.tables if made.stamp else ())
        return made.plan

    def make(self, key: Hashable | None, make: Callable[[], Plan]) -> Plan:
        """The plan that `make` returns. It isn't cached if `key` is None, or if a table was read that has no log."""
        lease = FRESHNESS.lease or LogLease()  # what the process knew before the queries, however old
        with read_at_least(lease.reached), note_statements() as statements:
            plan = make()
        read = [sql for sql in statements if not sql.startswith(PLANNER)]
        tables = find_all_tables(read)
        if key is not None and tables <= FRESHNESS.tables:
            stamp = Stamp(lease.epoch, lease.position, tables) if read else None
            until = math.inf if len(read) == len(statements) else time.monotonic() + PLANNER_SECONDS
            self.keep(key, Made(plan, stamp, until))
        return plan


PLANS: Plans[Any] = Plans(GREATEST_NUMBER)
