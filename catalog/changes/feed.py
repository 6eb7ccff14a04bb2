"""A cursor in, the changes after it out, in the order in which they became visible.

A page reads at most WINDOW positions of the log, so a filter that keeps few changes costs no more than one that keeps
many. Such a page may be empty although more changes follow; its cursor is the last position that it read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet, Value

from catalog.changes.log import number_changes
from catalog.changes.models import Change
from catalog.changes.visibility import only_visible
from catalog.errors import ChangesGone
from catalog.models import Product
from catalog.querysets import ACTIVE
from config.api.access.permissions import Caller

WINDOW = 10_000

BOUNDS = """
SELECT (SELECT min(position) FROM catalog_change),
       (SELECT max(position) FROM catalog_change),
       (SELECT max(position) FROM catalog_change WHERE op = 'truncate')
"""


@dataclass(frozen=True)
class Bounds:
    """The positions that a cursor may have: from `first`, before the oldest kept change, to `newest`.

    `truncated` is the position of the last TRUNCATE, 0 if there was none.
    """

    first: int
    newest: int
    truncated: int

    @classmethod
    def read(cls) -> Self:
        """Reads the bounds by one query, from indexes."""
        with connection.cursor() as cursor:
            cursor.execute(BOUNDS)
            first, newest, truncated = cursor.fetchone()
        return cls((first or 1) - 1, newest or 0, truncated or 0)

    def check(self, after: int) -> None:
        """Raises ChangesGone if the feed can't continue after this position."""
        if after < self.first:
            raise ChangesGone("after", f"the log begins after {self.first}")
        if after < self.truncated:
            raise ChangesGone("after", f"a table was truncated at {self.truncated}, and the log can't name its rows")
        if after > self.newest:
            raise ChangesGone("after", f"the newest cursor of this database is {self.newest}")

    def find_end(self, after: int) -> int:
        """The last position that a page after `after` reads."""
        return min(after + WINDOW, self.newest)

    def find_start(self, since: datetime | None) -> int:
        """The position to read after, for a client without a cursor. One query if `since` is given."""
        if since is None:
            return max(self.first, self.truncated)
        rows = Change.objects.filter(numbered_at__gte=since).order_by("numbered_at", "position")
        # A change is numbered after it happened, so no change since then has an earlier position.
        found = rows.values_list("position", flat=True).first()
        start = self.newest if found is None else found - 1
        if start == self.first > 0:
            raise ChangesGone("since", f"the log begins after {self.first}, which is later than that time")
        if start < self.truncated:
            raise ChangesGone("since", f"a table was truncated at {self.truncated}, and the log can't name its rows")
        return start


def read_cursor() -> int:
    """The newest cursor. The feed after it has every change that data read after this call doesn't have yet."""
    number_changes()
    return Bounds.read().newest


@dataclass(frozen=True)
class Wanted:
    """The checked filters of a request."""

    since: datetime | None
    until: datetime | None
    entities: Sequence[str]

    def narrow(self, rows: QuerySet[Change]) -> QuerySet[Change]:
        wanted = {"at__gte": self.since, "at__lt": self.until, "entity__in": self.entities}
        return rows.filter(**{name: value for name, value in wanted.items() if value})


def select_changes(wanted: Wanted, caller: Caller) -> QuerySet[Any]:
    """The wanted changes that the caller may see, without the column `before`."""
    return hide(wanted.narrow(Change.objects.defer("before")), caller)


def hide(rows: QuerySet[Change], caller: Caller) -> QuerySet[Any]:
    """Leaves out what the caller may not see. Marks changes of products that the caller can't see with `is_hidden`."""
    rows = only_visible(rows, caller)
    sees_all = caller.has_perm("catalog.view_product")
    return rows.annotate(is_hidden=Value(value=False)) if sees_all else hide_products(rows)


def hide_products(rows: QuerySet[Change]) -> QuerySet[Change]:
    """Marks changes of products that aren't active now, or are deleted, with `is_hidden`.

    Changes of its variants, images … are left out, except deletes.
    """
    active = Product.objects.filter(pk=OuterRef("product_id"), status=ACTIVE)
    rows = rows.annotate(is_hidden=Q(product_id__isnull=False) & ~Exists(active))
    return rows.filter(Q(is_hidden=False) | Q(entity="product") | Q(op=Change.Op.DELETE))


def describe(change: Any) -> dict[str, Any]:
    return {
        "position": change.position,
        "entity": change.entity,
        "entity_id": change.entity_id,
        # A hidden product looks deleted, and its SKU isn't told: a draft is secret.
        "op": "delete" if change.is_hidden else change.op,
        "version": change.version,
        "at": change.at,
        "sku": None if change.is_hidden else change.sku or None,
    }
