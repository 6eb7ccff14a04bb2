"""A cursor in, the changes behind it out, in the order in which they became visible; no page reads the log's length.

A page looks at WINDOW positions at the most, so filters that keep little cost no more than ones that keep much: it
may be empty while there is more to come, and its cursor is where it looked to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet, Value

from catalog.changes.log import number_changes
from catalog.errors import ChangesGone
from catalog.models import Change, Product
from catalog.querysets import ACTIVE

WINDOW = 10_000

BOUNDS = """
SELECT (SELECT min(position) FROM catalog_change),
       (SELECT max(position) FROM catalog_change),
       (SELECT max(position) FROM catalog_change WHERE op = 'truncate')
"""


@dataclass(frozen=True)
class Bounds:
    """The cursors from which can be followed: from `first`, where the kept log begins, to `newest`."""

    first: int
    newest: int
    truncated: int

    @classmethod
    def read(cls) -> Self:
        """One query, by indexes."""
        with connection.cursor() as cursor:
            cursor.execute(BOUNDS)
            first, newest, truncated = cursor.fetchone()
        return cls((first or 1) - 1, newest or 0, truncated or 0)

    def check(self, after: int) -> None:
        """ChangesGone where `after` is no place to go on from."""
        if after < self.first:
            raise ChangesGone("after", f"the log begins behind {self.first}")
        if after < self.truncated:
            raise ChangesGone("after", f"a table was truncated at {self.truncated}, which names no rows")
        if after > self.newest:
            raise ChangesGone("after", f"the newest cursor of this database is {self.newest}")

    def find_end(self, after: int) -> int:
        """How far a page that begins behind `after` looks."""
        return min(after + WINDOW, self.newest)

    def find_start(self, since: datetime | None) -> int:
        """The first place to read from, for a follower without a cursor; one query with `since`."""
        if since is None:
            return max(self.first, self.truncated)
        rows = Change.objects.filter(numbered_at__gte=since).order_by("numbered_at", "position")
        # No change is numbered before it happens, so all of `since` stand from here on.
        found = rows.values_list("position", flat=True).first()
        start = self.newest if found is None else found - 1
        if start == self.first > 0:
            raise ChangesGone("since", f"the log begins behind {self.first}, later than that")
        if start < self.truncated:
            raise ChangesGone("since", f"a table was truncated at {self.truncated}, which names no rows")
        return start


def read_cursor() -> int:
    """Where to follow the feed from. It then has every later change of what is read after this call."""
    number_changes()
    return Bounds.read().newest


@dataclass(frozen=True)
class Wanted:
    """What a follower asks for, checked."""

    since: datetime | None
    until: datetime | None
    entities: Sequence[str]

    def narrow(self, rows: QuerySet[Change]) -> QuerySet[Change]:
        wanted = {"at__gte": self.since, "at__lt": self.until, "entity__in": self.entities}
        return rows.filter(**{name: value for name, value in wanted.items() if value})


def select_changes(wanted: Wanted, *, sees_all: bool) -> QuerySet[Any]:
    """What is asked for, without the rows as they were; without `sees_all` as who sees active products only."""
    rows = wanted.narrow(Change.objects.defer("before"))
    return rows.annotate(is_hidden=Value(value=False)) if sees_all else hide_products(rows)


def hide_products(rows: QuerySet[Change]) -> QuerySet[Change]:
    """A product that isn't active now, or is gone, is hidden; what belongs to it is seen only where it is deleted."""
    active = Product.objects.filter(pk=OuterRef("product_id"), status=ACTIVE)
    rows = rows.annotate(is_hidden=Q(product_id__isnull=False) & ~Exists(active))
    return rows.filter(Q(is_hidden=False) | Q(entity="product") | Q(op=Change.Op.DELETE))


def describe(change: Any) -> dict[str, Any]:
    return {
        "position": change.position,
        "entity": change.entity,
        "entity_id": change.entity_id,
        # A tombstone, without the SKU: a draft's is nobody's business.
        "op": "delete" if change.is_hidden else change.op,
        "version": change.version,
        "at": change.at,
        "sku": None if change.is_hidden else change.sku or None,
    }
