"""A search in, SQL out that finds products and ranks them, the best match first.

1. By beginnings: each word begins a word of the SKU, title, brand or description, or is another form of such a word,
   or two words joined. Also by the beginning of a variant's SKU or barcode. PostgreSQL first looks for whole words: if
   they alone give all the hits that are read, it needn't look for beginnings. A beginning collects all rows that have
   it: for two words, each of every eighth row of a million, it took 205 ms, and whole words 14.
2. By parts, only if the first way finds no active product: SKU, title and brand contain each word of at least three
   letters, so `conut` finds "Coconut oil". Drafts that the first way found stay, and rank first. (If drafts stopped the
   second way, a draft would decide what the public finds.)

If either reads as many hits as it may, the request's other filters would be asked of these alone, and rows that match
both would be missing: then hits are looked for once more, among the rows of the other filters.

One statement does it all. A search's brands are already known by their ids: a product's search document holds no name
of its brand, so a brand gets another name without a write to its products.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from django.db.models import FloatField
from django.db.models.expressions import RawSQL

from catalog.search.words import Search, Word

# The most hits that each way reads. With more a rank says little, and sorting all of them is what makes searches slow.
SEARCH_HITS = 1_000

# The status is read in a subselect, since the planner could begin a join with all products. The test for '\w\w\w' is
# for characters that the database's locale counts as signs, such as '½½½': they have no trigrams, so the whole index
# would be read.
HITS = {
    "postgresql": r"""
        WITH whole AS MATERIALIZED (
            SELECT product_id FROM catalog_producttext WHERE document @@ %s::tsquery LIMIT %s
        ), hits AS MATERIALIZED (
            {begun}
        )
        SELECT product_id FROM hits {within}
        UNION ALL (
            SELECT product_id FROM catalog_producttext
            WHERE %s ~ '\w\w\w' {contain} AND NOT EXISTS (
                SELECT FROM hits WHERE (SELECT status FROM catalog_product WHERE id = product_id) = 'active'
            )
            LIMIT %s
        )""",
    "sqlite": """
        WITH hits AS MATERIALIZED (
            {begun}
        )
        SELECT product_id FROM hits {within}
        UNION ALL
        SELECT id FROM (
            SELECT rowid AS id FROM catalog_parts
            WHERE catalog_parts MATCH %s {contain} AND NOT EXISTS (
                SELECT 1 FROM hits JOIN catalog_product ON catalog_product.id = product_id WHERE status = 'active'
            )
            LIMIT %s
        )""",
}

MATCHED = {
    "postgresql": "(SELECT product_id FROM catalog_producttext WHERE document @@ %s::tsquery {within} LIMIT %s)",
    "sqlite": """
        SELECT * FROM (
            SELECT rowid AS product_id FROM catalog_document WHERE catalog_document MATCH %s {within} LIMIT %s)""",
}
BEGUN = {
    "postgresql": """
        SELECT product_id FROM whole
        UNION (
            SELECT product_id FROM catalog_producttext
            WHERE document @@ %s::tsquery AND (SELECT count(*) FROM whole) < {most} LIMIT %s
        )""",
    "sqlite": MATCHED["sqlite"].replace("{within}", ""),
}
# The condition of the barcodes' index stands here as in the index. GLOB reads an index, SQLite's LIKE doesn't.
CODES = {
    "postgresql": "(SELECT product_id FROM catalog_variant WHERE ({spelled}) {within} LIMIT %s)",
    "sqlite": "SELECT * FROM (SELECT product_id FROM catalog_variant WHERE ({spelled}) {within} LIMIT %s)",
}
# The database asks the first condition once, and reads nothing else if it is false.
WITHIN = "AND (SELECT count(*) FROM hits) >= {most} AND {key} IN ({rows})"
SPELLED = {
    "postgresql": "sku LIKE %s OR (barcode LIKE %s AND barcode > '')",
    "sqlite": "sku GLOB %s OR (barcode GLOB %s AND barcode > '')",
}
CODE_SIGNS = {"postgresql": ("\\%_", "\\{}", "%"), "sqlite": ("[*?", "[{}]", "*")}

# The rank is below 0 for a product found by beginnings, above 0 for one found otherwise. A title that contains the
# whole text as it was written, with its signs (`C++ Hand`), comes first, and so does what has the words with signs; a
# title that is the text comes before them.
# Values: beginnings without brands, words alone, words with signs, brands, parts, the text; on SQLite beginnings, the
# text, parts. The rank counts no brands: PostgreSQL compares each two words of the query.
RANK = {
    "postgresql": """
        SELECT CASE WHEN document @@ begun OR catalog_product.brand_id = ANY (brands)
            THEN -ts_rank(document, ranked)
                - (position(whole IN catalog_product.title_key) > 0 OR document @@ signed)::int
                - (whole = catalog_product.title_key)::int
            ELSE 1 - word_similarity(asked.parts, catalog_producttext.parts) END
        FROM (
            SELECT %s::tsquery AS begun, %s::tsquery AS ranked, %s::tsquery AS signed, %s::bigint[] AS brands,
                %s AS parts, %s AS whole
        ) asked, catalog_producttext
        WHERE product_id = catalog_product.id""",
    # The weights of bm25: title (with SKU), compounds, brand, description. SQLite computes the ranks of all hits once,
    # since the subselects are the same for each product.
    "sqlite": """
        coalesce(
            (WITH begun AS MATERIALIZED (
                SELECT rowid AS id, bm25(catalog_document, 8, 2, 4, 1) AS rank FROM catalog_document
                WHERE catalog_document MATCH %s
            )
            SELECT rank - 1000 * ((instr(catalog_product.title_key, whole) > 0) + (catalog_product.title_key = whole))
            FROM begun, (SELECT %s AS whole) WHERE begun.id = catalog_product.id),
            (WITH contained AS MATERIALIZED (
                SELECT rowid AS id, bm25(catalog_parts) AS rank FROM catalog_parts WHERE catalog_parts MATCH %s
            ) SELECT -1 / rank FROM contained WHERE contained.id = catalog_product.id),
            1)""",
}

# What no document has.
NOTHING = "'='"

# SQL, and its values.
type Part = tuple[str, Sequence[object]]


def search_hits(vendor: str, search: Search, most: int | None = None, rows: Part | None = None) -> RawSQL:
    """A subselect of the matching products' ids. If it has `most` (SEARCH_HITS) ids or more, some may be missing.

    With `rows`, a subselect of ids, none of these is missing unless `most` of them match.
    """
    most = most or SEARCH_HITS
    ways = list(list_begun(vendor, search, most))
    within = list(list_within(vendor, search, most, *rows)) if rows else []
    parts = list(list_parts(vendor, search))
    sql = HITS[vendor].replace("{begun}", " UNION ".join(way for way, _ in ways))
    sql = sql.replace("{within}", "".join(f"UNION {way} " for way, _ in within))
    sql = sql.replace("{contain}", " ".join(part for part, _ in parts))
    begun, added, contained = ([value for _, values in way for value in values] for way in (ways, within, parts))
    whole = [write_beginnings(vendor, make_whole(search)), most] if vendor == "postgresql" else []
    values = [*whole, *begun, *added, write_parts(vendor, search), *contained, most]
    return RawSQL(sql, values)  # noqa: S611 (no text of a caller is in the SQL)


def list_begun(vendor: str, search: Search, most: int) -> Iterator[Part]:
    """The selects of the first way, and their values."""
    if signed := write_signed(vendor, search):
        # By themselves: `C++` would be lost among a million words that begin with `c`.
        yield MATCHED[vendor].replace("{within}", ""), (signed, most)
    yield BEGUN[vendor].replace("{most}", str(most)), (write_beginnings(vendor, search), most)
    if search.codes:
        sql, beginnings = write_codes(vendor, search)
        yield sql.replace("{within}", ""), (*beginnings, most)


def list_within(vendor: str, search: Search, most: int, rows: str, values: Sequence[object]) -> Iterator[Part]:
    """The same among `rows`. They read nothing unless the first way has found `most`."""
    within = WITHIN.replace("{most}", str(most)).replace("{rows}", rows)
    key = "product_id" if vendor == "postgresql" else "rowid"
    for words in filter(None, (write_signed(vendor, search), write_beginnings(vendor, search))):
        yield MATCHED[vendor].replace("{within}", within.replace("{key}", key)), (words, *values, most)
    if search.codes:
        sql, beginnings = write_codes(vendor, search)
        yield sql.replace("{within}", within.replace("{key}", "product_id")), (*beginnings, *values, most)


def write_codes(vendor: str, search: Search) -> Part:
    """The select of variants whose SKU or barcode begins with one of the codes."""
    spelled = " OR ".join([SPELLED[vendor]] * len(search.codes))
    beginnings = [write_code(vendor, code) for code in search.codes for _ in ("sku", "barcode")]
    return CODES[vendor].replace("{spelled}", spelled), beginnings


def make_whole(search: Search) -> Search:
    """The same words, none of them as the beginning of others."""
    return replace(search, words=[word._replace(is_whole=True) for word in search.words])


def list_parts(vendor: str, search: Search) -> Iterator[Part]:
    """The conditions of the second way. On SQLite one MATCH has all of them."""
    if vendor == "postgresql":
        for part in search.parts:
            if brands := " | ".join(f"'brand:{key}'" for key in search.inside.get(part, ())):
                yield "AND (parts LIKE %s OR document @@ %s::tsquery)", (f"%{part}%", brands)
            else:
                yield "AND parts LIKE %s", (f"%{part}%",)


def write_code(vendor: str, code: str) -> str:
    """The pattern of texts that begin with `code`."""
    signs, escaped, rest = CODE_SIGNS[vendor]
    return "".join(escaped.format(sign) if sign in signs else sign for sign in code) + rest


def write_beginnings(vendor: str, search: Search) -> str:
    """The query by beginnings, in the database's syntax."""
    write = {"postgresql": write_in_postgresql, "sqlite": write_in_sqlite}[vendor]
    return (" AND " if vendor == "sqlite" else " & ").join(
        f"({write(word, search.begun.get(word.text, ()))})" for word in search.words
    )


def write_in_postgresql(word: Word, brands: Sequence[int]) -> str:
    """`'chairs':* | 'chair' | '=chairs' | '=chair' | 'brand:7'`; what begins with = is two words joined."""
    ways = [write_alone(word), *(f"'={form}'" for form in (word.text, *word.forms))]
    ways += [f"'{word.joined}':*", *(f"'{form}'" for form in word.joined_forms)] if word.joined else []
    return " | ".join([*ways, *(f"'brand:{key}'" for key in brands)])


def write_alone(word: Word) -> str:
    return " | ".join([write_begun(word), *(f"'{form}'" for form in word.others)])


def write_begun(word: Word) -> str:
    return f"'{word.text}'" if word.is_whole else f"'{word.text}':*"


def write_in_sqlite(word: Word, brands: Sequence[int]) -> str:
    begun = [write_begun_in_sqlite(word), *([f'"{word.joined}" *'] if word.joined else [])]
    begun += [f'"{form}"' for form in (*word.others, *word.joined_forms)]
    joined = [f'"{form}"' for form in (word.text, *word.forms)]
    ways = [f"{{title description}} : ({' OR '.join(begun)})", f"compounds : ({' OR '.join(joined)})"]
    ways += [f"brand : ({' OR '.join(f'b{key}' for key in brands)})"] if brands else []
    return " OR ".join(ways)


def write_begun_in_sqlite(word: Word) -> str:
    return f'"{word.text}"' if word.is_whole else f'"{word.text}" *'


def write_ranked(search: Search) -> str:
    return " & ".join(f"({write_alone(word)})" for word in search.words)


def write_signed(vendor: str, search: Search) -> str:
    """The query for words with their signs, and the others by beginnings; "" if no word has signs."""
    if not any(word.signed for word in search.words):
        return ""
    if vendor == "sqlite":
        columns = "{title description}"
        ways = (
            f'compounds : "{w.signed}"' if w.signed else f"{columns} : {write_begun_in_sqlite(w)}" for w in search.words
        )
        return " AND ".join(f"({way})" for way in ways)
    return " & ".join(f"'={word.signed}'" if word.signed else write_begun(word) for word in search.words)


def write_parts(vendor: str, search: Search) -> str:
    """The query by parts: `conut oil`, which PostgreSQL only compares; `("conut") AND …` or `""` for SQLite."""
    if vendor == "postgresql":
        return " ".join(search.parts)
    return " AND ".join(f"({write_part(part, search.inside.get(part, ()))})" for part in search.parts) or '""'


def write_part(part: str, brands: Sequence[int]) -> str:
    return " OR ".join([f'names : "{part}"', *(f'brand : "#{key}#"' for key in brands)])


def search_rank(vendor: str, search: Search) -> RawSQL:
    """An expression that is smaller for a better match. It is for rows that match."""
    parts, whole = write_parts(vendor, search), search.folded
    if vendor == "sqlite":
        values: tuple[object, ...] = (write_beginnings(vendor, search), whole, parts)
    else:
        alone = write_beginnings(vendor, replace(search, begun={}))
        signed = write_signed(vendor, search) or NOTHING
        values = (alone, write_ranked(search), signed, search.brands, parts, whole)
    return RawSQL(f"({RANK[vendor]})", values, FloatField())  # noqa: S611 (no text of a caller is in the SQL)
