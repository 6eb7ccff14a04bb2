"""The words of a search in, SQL out that finds products and ranks them, the best match first.

1. By beginnings: each word begins a word of the SKU, title, brand or description.
2. By parts, only if the first way finds no active product: SKU, title and brand contain each word of at least three
   letters, so `conut` finds "Coconut oil". Drafts that the first way found stay, and rank first. (If drafts stopped the
   second way, a draft would decide what the public finds.)

One statement does both, and building it runs no query, so a plan can keep it.
"""

from itertools import pairwise

from django.db.models import FloatField
from django.db.models.expressions import RawSQL

# The most hits that each way reads. With more a rank says little, and sorting all of them is what makes searches slow.
SEARCH_HITS = 1_000

# A trigram index can't find shorter parts.
PART_LETTERS = 3

# The status is read in a subselect, since the planner could begin a join with all products. The test for '\w\w\w' is
# for characters that the database's locale counts as signs, such as '½½½': they have no trigrams, so the whole index
# would be read.
# Values: the beginnings, SEARCH_HITS, the parts, one pattern for each `{contain}`, SEARCH_HITS.
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

# The rank is below 0 for a product found by beginnings, above 0 for one found by parts. A title that contains the whole
# text as it was written, with its signs (`C++ Hand`), comes first. Values: beginnings, parts, the text; on SQLite
# beginnings, the text, parts.
RANK = {
    "postgresql": """
        SELECT CASE WHEN search @@ begun
            THEN -ts_rank(search, begun) - (position(whole IN lower(catalog_product.title)) > 0)::int
            ELSE 1 - word_similarity(parts, names) END
        FROM to_tsquery('simple', %s) begun, (SELECT %s AS parts, lower(%s) AS whole) asked, catalog_producttext
        WHERE product_id = catalog_product.id""",
    # The weights of bm25: title (with SKU), brand, description.
    "sqlite": """
        SELECT coalesce(
            (SELECT bm25(catalog_search, 8, 4, 1) FROM catalog_search
             WHERE catalog_search MATCH %s AND rowid = catalog_product.id)
                - 1000 * (instr(lower(catalog_product.title), lower(%s)) > 0),
            (SELECT -1 / bm25(catalog_names) FROM catalog_names
             WHERE catalog_names MATCH %s AND rowid = catalog_product.id))""",
}


# The most words of a search. Each word is looked up by itself, and then the products of all words are compared.
MOST_WORDS = 10


def find_words(text: str) -> list[str]:
    """The words of a search: runs of letters and digits, as in the search document.

    A word that repeats or begins another one is left out: whatever has `teapot` has `tea`.
    """
    parted = "".join(letter if letter.isalnum() else " " for letter in text).split()
    words = {word.casefold(): word for word in reversed(parted)}
    # Once they are sorted, a word that begins others stands right before one of them.
    known = sorted(words)
    begins_another = {word for word, following in pairwise(known) if following.startswith(word)}
    return [word for folded, word in reversed(words.items()) if folded not in begins_another]


def find_parts(text: str) -> list[str]:
    return [word for word in find_words(text) if len(word) >= PART_LETTERS]


def write_beginnings(vendor: str, text: str) -> str:
    """The query by beginnings, in the database's syntax: `"tea"* "bag"*` (SQLite), `tea:* & bag:*` (PostgreSQL)."""
    words = find_words(text)
    return " ".join(f'"{word}"*' for word in words) if vendor == "sqlite" else " & ".join(f"{w}:*" for w in words)


def write_parts(vendor: str, text: str) -> str:
    """The query by parts: `"conut" "oil"`, or `""` for none (SQLite), `conut oil` (PostgreSQL)."""
    parts = find_parts(text)
    return (" ".join(f'"{part}"' for part in parts) or '""') if vendor == "sqlite" else " ".join(parts)


def search_hits(vendor: str, text: str) -> RawSQL:
    """A subselect of the matching products' ids. If it has SEARCH_HITS ids or more, some may be missing."""
    # On SQLite one MATCH has all parts.
    patterns = [f"%{part}%" for part in find_parts(text)] if vendor == "postgresql" else []
    hits = HITS[vendor].replace("{contain}", "AND names LIKE lower(%s) " * len(patterns))
    values = (write_beginnings(vendor, text), SEARCH_HITS, write_parts(vendor, text), *patterns, SEARCH_HITS)
    return RawSQL(hits, values)  # noqa: S611 (no text of a caller is in the SQL)


def search_rank(vendor: str, text: str) -> RawSQL:
    """An expression that is smaller for a better match. It is for rows that match."""
    begun, parts, whole = write_beginnings(vendor, text), write_parts(vendor, text), text.strip()
    values = (begun, whole, parts) if vendor == "sqlite" else (begun, parts, whole)
    return RawSQL(f"({RANK[vendor]})", values, FloatField())  # noqa: S611 (the same)
