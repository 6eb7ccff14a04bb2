"""SQL that reads tallies.

Kept answers are stale when a table changes that their SQL names. Numbers of facets name the table of products in a
comment. Those of brands and categories don't: the change log tells when they change (catalog/changes/log.py).
"""

from collections.abc import Iterable, Sequence

from catalog.tallies.triggers import OFF, WHOLE

# Of all products, of those of some categories.
WHOLE_SCOPE = (WHOLE,)

NUMBERS = """
SELECT key, sum(number) AS number FROM (
    SELECT key, number FROM catalog_tally /* catalog_product */ WHERE category IN ({scope}) AND kind = {kind}
    UNION ALL SELECT key, number FROM catalog_tallychange WHERE kind = {kind}{within}
) t WHERE key <> '' GROUP BY key HAVING sum(number) > 0"""
UNCOUNTED = """
SELECT kind FROM (
    SELECT kind, number FROM catalog_tally WHERE category IN ({off}, {whole}) AND key = '' AND kind IN ({kinds})
    UNION ALL SELECT kind, number FROM catalog_tallychange WHERE key = '' AND kind IN ({kinds})
) t GROUP BY kind HAVING sum(number) > 0"""


def write_numbers(kind: str, scope: Sequence[int]) -> str:
    """SQL: the keys of a kind, and their numbers. `kind` is an SQL literal; `scope` WHOLE_SCOPE, or categories' ids."""
    places = ", ".join(map(str, scope))
    within = "" if scope == WHOLE_SCOPE else f" AND category IN ({places})"
    return NUMBERS.format(kind=kind, scope=places, within=within)


def write_uncounted(kinds: Iterable[str]) -> str:
    """SQL: those of `kinds`, which are SQL literals, that have values which aren't counted."""
    return UNCOUNTED.format(off=OFF, whole=WHOLE, kinds=", ".join(kinds))


def write_count(source: str, word: str = "WHERE") -> str:
    """SQL: the sum of both tables. `source` follows FROM; TALLIES in it is a table and `word`."""
    tables = (f"catalog_tally {word} category = {WHOLE} AND", f"catalog_tallychange {word}")
    sums = (f"(SELECT coalesce(sum(number), 0) FROM {source.replace('TALLIES', table)})" for table in tables)  # noqa: S608 (ours)
    return f"({' + '.join(sums)})"
