"""Pages of a list that is narrowed to several values, such as categories (PostgreSQL).

A category with those below it is a list of categories. No index has the products of all of them in one order, but one
has those of each: a sorted run. So the first rows of each run are read, and merged.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.db.models.expressions import Col, RawSQL
from django.db.models.lookups import Exact, In

from config.api.database.statements import Statement
from config.api.reads.orderings import Keyset

MERGE = """
SELECT {key} FROM unnest(%s::{type}[]) AS run (value), LATERAL ({rows}) merged
ORDER BY {order} LIMIT {size} OFFSET {start}"""


@dataclass(frozen=True)
class Runs:
    """The column of the filter, its type in SQL, and the filter's values."""

    column: str
    type: str
    values: tuple[Any, ...]

    @classmethod
    def of(cls, rows: QuerySet[Any], names: Set[str]) -> Runs | None:
        """The runs of a filter by one of the foreign keys `names`, as in `brand__in=[1, 2]`; None if there is none."""
        found = [lookup for lookup in rows.query.where.children if isinstance(lookup, In) and is_plain(lookup)]
        own = [lookup for lookup in found if lookup.lhs.target.name in names]
        fields = [lookup.lhs.target for lookup in found]
        once = [lookup for lookup in own if fields.count(lookup.lhs.target) == 1]
        return cls.read(once[0], rows.db) if once else None

    @classmethod
    def read(cls, lookup: Any, database: str) -> Runs:
        field = lookup.lhs.target
        return cls(field.attname, field.rel_db_type(connections[database]), tuple(dict.fromkeys(lookup.rhs)))

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of one run, in place of all of them."""
        chosen = rows.all()
        where = chosen.query.where
        where.children = [self.replace(lookup) for lookup in where.children]
        return chosen

    def replace(self, lookup: Any) -> Any:
        is_own = isinstance(lookup, In) and lookup.lhs.target.attname == self.column
        return Exact(lookup.lhs, RawSQL("run.value", ())) if is_own else lookup

    def merge(self, rows: QuerySet[Any], start: int, end: int) -> RawSQL | None:
        """A subselect of the primary keys of a slice of `rows`; None if Django knows that no row can match."""
        keyset, quote = Keyset.of(rows), connections[rows.db].ops.quote_name
        run = Statement.compile(self.narrow(rows).values(*keyset.names)[:end])
        if run is None:
            return None
        direction = " DESC" if keyset.descending else ""
        order = ", ".join(quote(name) + direction for name in keyset.names)
        sql = MERGE.format(
            key=quote(keyset.names[-1]), type=self.type, rows=run.sql, order=order, size=end - start, start=start
        )
        return RawSQL(sql, (list(self.values), *run.parameters))  # noqa: S611 (SQL that Django compiled)


def is_plain(lookup: In) -> bool:
    """Whether it compares a column with values, not with a subselect."""
    return isinstance(lookup.lhs, Col) and isinstance(lookup.rhs, list)
