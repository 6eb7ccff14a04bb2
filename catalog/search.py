"""Words in, SQL out that finds products by them and ranks what it found, the best first.

Words are found by their beginnings, in SKU, title, brand and description. Where no active product has such words, those
are found whose SKU, title and brand contain every word of three letters or more: `conut` finds "Coconut oil". Where
drafts alone have the words both are found, the drafts first: else a draft would decide what the public finds.

Both ways stand in one statement, and writing it asks the database nothing, so it may be kept as a plan.
"""

from django.db.models import FloatField
from django.db.models.expressions import RawSQL

# Past this many hits a rank says little, and sorting them all is what makes searches slow. Each way has as many.
SEARCH_HITS = 1_000

# A trigram index knows nothing shorter.
PART_LETTERS = 3

# The status is asked for in a subselect, since a join could begin with all products. And of what the database's locale
# takes for signs there are no trigrams: '½½½' would read the whole index.
# Values: the beginnings, SEARCH_HITS, the parts, each `{contain}`'s pattern, SEARCH_HITS.
HITS = {
    "postgresql": r"""
        WITH hits AS MATERIALIZED (
            SELECT product_id FROM catalog_producttext WHERE search @@ to_tsquery('simple', %s) LIMIT %s
        )
        SELECT product_id FROM hits
        UNION ALL (
            SELECT product_id FROM catalog_producttext
            WHERE %s ~ '\w\w\w' {contain} AND NOT EXISTS (
                SELECT FROM hits WHERE (SELECT status FROM catalog_product WHERE id = product_id) = 'active'
            )
            LIMIT %s
        )""",
    "sqlite": """
        WITH hits AS MATERIALIZED (SELECT rowid AS id FROM catalog_search WHERE catalog_search MATCH %s LIMIT %s)
        SELECT id FROM hits
        UNION ALL
        SELECT id FROM (
            SELECT rowid AS id FROM catalog_names
            WHERE catalog_names MATCH %s {contain} AND NOT EXISTS (
                SELECT 1 FROM hits JOIN catalog_product USING (id) WHERE status = 'active'
            )
            LIMIT %s
        )""",
}

# Below zero for a product that has the words by their beginnings, above it for one by parts. Values: beginnings, parts.
RANK = {
    "postgresql": """
        SELECT CASE WHEN search @@ begun THEN -ts_rank(search, begun) ELSE 1 - word_similarity(parts, names) END
        FROM to_tsquery('simple', %s) begun, (SELECT %s AS parts) asked, catalog_producttext
        WHERE product_id = catalog_product.id""",
    # bm25's weights stand for title (with SKU), brand and description.
    "sqlite": """
        SELECT coalesce(
            (SELECT bm25(catalog_search, 8, 4, 1) FROM catalog_search
             WHERE catalog_search MATCH %s AND rowid = catalog_product.id),
            (SELECT -1 / bm25(catalog_names) FROM catalog_names
             WHERE catalog_names MATCH %s AND rowid = catalog_product.id))""",
}


def find_words(text: str) -> list[str]:
    """The words to search for; signs part them, as they do in the search document."""
    return "".join(letter if letter.isalnum() else " " for letter in text).split()


def find_parts(text: str) -> list[str]:
    return [word for word in find_words(text) if len(word) >= PART_LETTERS]


def write_beginnings(vendor: str, text: str) -> str:
    """Every word by its beginning, in the database's own language: `"tea"* "bag"*`, `tea:* & bag:*`."""
    words = find_words(text)
    return " ".join(f'"{word}"*' for word in words) if vendor == "sqlite" else " & ".join(f"{w}:*" for w in words)


def write_parts(vendor: str, text: str) -> str:
    """Every part: `"conut" "oil"`, or `""` for none, and on PostgreSQL `conut oil`."""
    parts = find_parts(text)
    return (" ".join(f'"{part}"' for part in parts) or '""') if vendor == "sqlite" else " ".join(parts)


def search_hits(vendor: str, text: str) -> RawSQL:
    """The ids of the products that match, as a subselect: SEARCH_HITS or more of them mean that some were left out."""
    # SQLite has them all in one MATCH.
    patterns = [f"%{part}%" for part in find_parts(text)] if vendor == "postgresql" else []
    hits = HITS[vendor].replace("{contain}", "AND names LIKE lower(%s) " * len(patterns))
    values = (write_beginnings(vendor, text), SEARCH_HITS, write_parts(vendor, text), *patterns, SEARCH_HITS)
    return RawSQL(hits, values)  # noqa: S611 (no text of a caller is in the SQL)


def search_rank(vendor: str, text: str) -> RawSQL:
    """How badly a product matches, the best first; asked only of rows that do match."""
    values = (write_beginnings(vendor, text), write_parts(vendor, text))
    return RawSQL(f"({RANK[vendor]})", values, FloatField())  # noqa: S611 (the same)
