"""The catalogue's words, each with the number of active products and brands that have it.

Triggers append the titles that come and go. A chore counts their words, and stores new ones under their slips; so does
`seed` when it ends. Until then a search finds the new products as they are written, and doesn't correct a slip in their
new words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import batched
from typing import Any

from django.db import connections, transaction

from catalog.search.slips import LONGEST, count_allowed, count_slips, list_asked, list_stored
from config.api.database.words import split_words

# How often the chore runs.
WORDS_EVERY = timedelta(seconds=10)
# Titles in a transaction, which takes about 0.2 s.
BATCH_ROWS = 2_000
# SQLite takes at most 32,766 values in a statement.
BATCH_VALUES = 5_000
# Batches of one run of the chore: it shall not keep the worker from its other work.
MOST_BATCHES = 20
# The most known words that are compared with an asked one, and that are tried instead of it.
MOST_COMPARED = 1_000
MOST_NEAR = 4
# In letters, of a word that is parted in two.
SHORTEST_PART = 3

TAKE = {
    "postgresql": """
        DELETE FROM catalog_word_change WHERE id IN (
            SELECT id FROM catalog_word_change ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
        RETURNING words, products""",
    "sqlite": """
        DELETE FROM catalog_word_change WHERE id IN (SELECT id FROM catalog_word_change ORDER BY id LIMIT %s)
        RETURNING words, products""",
}
COUNT = """
INSERT INTO catalog_word (word, products) VALUES {rows}
ON CONFLICT (word) DO UPDATE SET products = catalog_word.products + excluded.products"""
STORE = "INSERT INTO catalog_word_slip (slip, word) VALUES {rows} ON CONFLICT DO NOTHING"
KNOWN = "SELECT word FROM catalog_word WHERE word IN ({places})"
USED = f"{KNOWN} AND products > 0"
BEGUN = "SELECT 1 FROM catalog_word WHERE word >= %s AND word < %s AND products > 0 LIMIT 1"
NEAR = f"""
SELECT word, products FROM catalog_word
WHERE products > 0 AND word IN (SELECT word FROM catalog_word_slip WHERE slip IN ({{places}}))
ORDER BY products DESC, word LIMIT {MOST_COMPARED}"""  # noqa: S608 (no text of a caller is in it)
GREATEST_LETTER = "\U0010ffff"
GREATEST_KEY = 2**63 - 1


def count_words(database: str = "default") -> int:
    """Count what has changed. Returns the number of titles; the rest is for the next run."""
    counted = 0
    for _ in range(MOST_BATCHES):
        with transaction.atomic(using=database), connections[database].cursor() as cursor:
            counted += (taken := count_batch(cursor, connections[database].vendor))
        if taken < BATCH_ROWS:
            break
    return counted


def count_batch(cursor: Any, vendor: str) -> int:
    cursor.execute(TAKE[vendor], [BATCH_ROWS])
    changes = cursor.fetchall()
    counts = Counter[str]()
    for text, products in changes:
        for word in list_kept(text):
            counts[word] += products
    # In one order, so that two runs don't wait for each other in a circle.
    words = sorted(word for word, products in counts.items() if products)
    new = set(words) - set(find_known(cursor, words))
    insert(cursor, COUNT, [(word, counts[word]) for word in words])
    insert(cursor, STORE, sorted((slip, word) for word in new for slip in list_stored(word)))
    return len(changes)


def list_kept(text: str) -> set[str]:
    """The words of a folded text that are made of letters. Numbers are never corrected: each may be a model."""
    return {piece.word for piece in split_words(text) if piece.word.isalpha() and len(piece.word) <= LONGEST}


def find_known(cursor: Any, words: Sequence[str]) -> Iterable[str]:
    for some in batched(words, BATCH_VALUES, strict=False):
        cursor.execute(KNOWN.format(places=list_places(some)), some)
        yield from [word for (word,) in cursor.fetchall()]


def insert(cursor: Any, sql: str, rows: Sequence[Sequence[object]]) -> None:
    for some in batched(rows, BATCH_VALUES, strict=False):
        places = ", ".join(["(%s, %s)"] * len(some))
        cursor.execute(sql.format(rows=places), [value for row in some for value in row])


def list_places(values: Iterable[object]) -> str:
    return ", ".join("%s" for _ in values)


# -- reads


def find_unknown(cursor: Any, words: Iterable[str]) -> list[str]:
    """The words that no known word begins with."""
    unknown = []
    for word in words:
        cursor.execute(BEGUN, [word, word + GREATEST_LETTER])
        if cursor.fetchone() is None:
            unknown.append(word)
    return unknown


def find_near(cursor: Any, word: str) -> list[str]:
    """The known words that `word` may be a slip of: with the fewest slips first, then those of the most products."""
    slips = sorted(list_asked(word))
    cursor.execute(NEAR.format(places=list_places(slips)), slips)
    found = [
        (count_slips(word, known, count_allowed(known)), -products, known) for known, products in cursor.fetchall()
    ]
    near = sorted(row for row in found if 0 < row[0] <= count_allowed(row[2]))
    return [known for _, _, known in near[:MOST_NEAR]]


def find_parted(cursor: Any, word: str) -> list[str]:
    """The word as two known words (`acme tools` of `acmetools`), those that part it most evenly first."""
    places = range(SHORTEST_PART, len(word) - SHORTEST_PART + 1)
    parts = sorted({part for place in places for part in (word[:place], word[place:])})
    if not parts:
        return []
    cursor.execute(USED.format(places=list_places(parts)), parts)
    used = {part for (part,) in cursor.fetchall()}
    found = [(word[:place], word[place:]) for place in places if {word[:place], word[place:]} <= used]
    found.sort(key=lambda pair: -min(map(len, pair)))
    return [" ".join(pair) for pair in found[:MOST_NEAR]]


# -- the words of the products that were there before the triggers

FILL = """
INSERT INTO catalog_word_change (words, products)
SELECT title_key, count(*) FROM catalog_product WHERE status = 'active' AND id BETWEEN %s AND %s GROUP BY title_key"""
NEXT = "SELECT max(id) FROM (SELECT id FROM catalog_product WHERE id > %s AND id <= %s ORDER BY id LIMIT %s) batch"


def fill_words(database: str, batch: int = BATCH_ROWS) -> None:
    """Count the words of all products, a batch a transaction. Safe to stop and to run again."""
    while fill_batch(database, batch):
        count_words(database)
    while count_words(database):
        pass


def fill_batch(database: str, batch: int) -> bool:
    """Whether there was a product left."""
    with transaction.atomic(using=database), connections[database].cursor() as cursor:
        cursor.execute("SELECT last, most FROM catalog_word_fill")
        last, most = cursor.fetchone()
        cursor.execute(NEXT, [last, most, batch])
        [end] = cursor.fetchone()
        if end is not None:
            cursor.execute(FILL, [last + 1, end])
        cursor.execute("UPDATE catalog_word_fill SET last = %s", [most if end is None else end])
        return end is not None


def append_all(connection: Any) -> None:
    """Append the titles of all products, where none was counted before. In the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(FILL, [0, GREATEST_KEY])
