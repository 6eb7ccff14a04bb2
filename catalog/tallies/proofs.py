"""A list's rows in, SQL out that is false only if tallies or an index prove that no row matches (PostgreSQL).

A page that finds nothing costs most: all products of a category are looked through for a brand or a color that none of
them has, 140 ms of 330,000. Tallies have the number of active products of a category with each brand and each value of
an attribute. The statement that reads the page reads them, too, so they are of the same moment, and a list is never
empty because of what somebody is writing.

Tallies prove nothing in two cases: if the attribute isn't counted any longer, and if no product of the categories is
counted. Such categories were filled without triggers; `recount` counts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from django.db import connections
from django.db.models import BooleanField, F, QuerySet
from django.db.models.expressions import Col, RawSQL
from django.db.models.fields.json import DataContains
from django.db.models.lookups import Exact, GreaterThan, In
from django.db.models.sql.where import OR, WhereNode

from catalog.querysets import ACTIVE
from catalog.tallies.triggers import LONGEST_KEY, LONGEST_NAME, OFF
from config.api.database.statements import Statement

# A sum below 0 proves nothing, either.
MAY_MATCH = f"""(
    EXISTS (SELECT FROM catalog_tally WHERE category = {OFF} AND kind = %s AND key = '')
    OR NOT EXISTS (
        SELECT FROM catalog_tally WHERE category = ANY (%s) AND kind = 'category' AND number > 0
        UNION ALL SELECT FROM catalog_tallychange WHERE kind = 'category' AND key = ANY (%s) AND number > 0
    )
    OR EXISTS (
        SELECT FROM (
            SELECT category, key, number FROM catalog_tally WHERE category = ANY (%s) AND kind = %s AND key = ANY (%s)
            UNION ALL SELECT category, key, number FROM catalog_tallychange
            WHERE category = ANY (%s) AND kind = %s AND key = ANY (%s)
        ) t GROUP BY category, key HAVING sum(number) <> 0
    )
)"""  # noqa: S608 (ours)


def note_proofs[Rows: QuerySet[Any]](rows: Rows) -> Rows:
    """The rows; if something may prove that none matches, its SQL goes with them (config/api/reads/unserved.py)."""
    if connections[rows.db].vendor != "postgresql" or not (proofs := list(list_proofs(rows))):
        return rows
    noted = rows.all()
    sql = " AND ".join(proof.sql for proof in proofs)
    values = tuple(value for proof in proofs for value in proof.params)
    noted.query.may_match = RawSQL(sql, values, BooleanField())  # type: ignore[attr-defined]  # noqa: S611 (no text of a caller is in the SQL)
    return noted


def list_proofs(rows: QuerySet[Any]) -> Iterator[RawSQL]:
    """One for each filter of active products of some categories by brands, by an attribute or by a lower price."""
    lookups = rows.query.where.children
    categories = find_values(lookups, "category")
    if not categories or not any(map(is_active, lookups)):
        return
    if brands := find_values(lookups, "brand"):
        yield read_tallies(categories, "brand", list(map(str, brands)))
    for kind, keys in filter(None, map(read_attribute, lookups)):
        yield read_tallies(categories, kind, keys)
    if any(map(is_on_sale, lookups)):
        yield look_for_sale(rows, categories)


def find_values(lookups: Sequence[Any], name: str) -> list[int]:
    """The ids of a filter by the foreign key `name`, as in `brand__in=[1, 2]`; [] if there is none."""
    found = [each.rhs for each in lookups if isinstance(each, In) and is_of(each.lhs, name)]
    return next((list(values) for values in found if isinstance(values, list)), [])


def is_of(side: Any, name: str) -> bool:
    return isinstance(side, Col) and side.target.name == name


def is_active(lookup: Any) -> bool:
    values = lookup.rhs if isinstance(lookup, In) else [getattr(lookup, "rhs", None)]
    return isinstance(lookup, In | Exact) and is_of(lookup.lhs, "status") and list(values) in ([ACTIVE], ["active"])


def is_on_sale(lookup: Any) -> bool:
    return isinstance(lookup, GreaterThan) and is_of(lookup.lhs, "compare_at_price") and is_of(lookup.rhs, "price")


def read_attribute(lookup: Any) -> tuple[str, list[str]] | None:
    """`("text.color", ["Olive", "Black"])` of a filter by an attribute's values; None for another one.

    Also None for values that tallies don't have by themselves.
    """
    ways: Any = lookup.children if isinstance(lookup, WhereNode) and lookup.connector == OR else [lookup]
    if getattr(lookup, "negated", False) or not all(isinstance(way, DataContains) for way in ways):
        return None
    pairs = [write_pair(*item) for way in ways for item in way.rhs.items()]
    [kind, *others] = {kind for kind, _ in pairs}
    keys = [key for _, key in pairs]
    is_counted = len(kind.partition(".")[2]) <= LONGEST_NAME and max(map(len, keys)) <= LONGEST_KEY
    return (kind, keys) if is_counted and not others else None


def write_pair(name: str, value: Any) -> tuple[str, str]:
    """The kind and the key of an attribute's value in tallies."""
    if isinstance(value, str):
        return f"text.{name}", value
    if isinstance(value, bool):
        return f"boolean.{name}", str(value).lower()
    return f"number.{name}", f"{Decimal(str(value)).normalize():f}"


def read_tallies(categories: Sequence[int], kind: str, keys: Sequence[str]) -> RawSQL:
    scope, wanted = list(categories), list(keys)
    values = (kind, scope, list(map(str, scope)), scope, kind, wanted, scope, kind, wanted)
    return RawSQL(MAY_MATCH, values)  # noqa: S611 (no text of a caller is in the SQL)


def look_for_sale(rows: QuerySet[Any], categories: Sequence[int]) -> RawSQL:
    """Whether there is a product on sale, by an index that has only these."""
    on_sale = rows.model._default_manager.only_active().filter(category__in=categories, compare_at_price__gt=F("price"))
    statement = Statement.compile(on_sale.values("pk")[:1])
    assert statement is not None
    return RawSQL(f"EXISTS ({statement.sql})", statement.parameters)  # noqa: S611 (SQL that Django compiled)
