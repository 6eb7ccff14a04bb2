"""Drafts in, the same drafts out but those whose SKU or handle an earlier line of the file has.

What was seen lies in a temporary SQLite file that the operating system forgets: ten million SKUs in a Python set
take about a gigabyte.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

from catalog.imports.drafts import BadRow, ProductDraft, Refusal

# An empty name is SQLite's word for a temporary file; it is written only past these 16 MiB of cache.
SET_UP = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
CREATE TABLE seen (key TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID;
BEGIN;
"""


def refuse_repeats(drafts: Iterable[ProductDraft | BadRow]) -> Iterator[ProductDraft | BadRow]:
    """The first of each key passes; a later one is refused and names the first one's line."""
    with closing(sqlite3.connect("", isolation_level=None)) as seen:
        seen.executescript(SET_UP)
        for draft in drafts:
            yield draft if isinstance(draft, BadRow) else refuse_repeat(seen, draft)


def refuse_repeat(seen: sqlite3.Connection, draft: ProductDraft) -> ProductDraft | BadRow:
    for line, name, key in list_keys(draft):
        taken = seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (f"{name}\0{key}", line)).rowcount == 0
        if taken:
            (first,) = seen.execute("SELECT line FROM seen WHERE key = ?", (f"{name}\0{key}",)).fetchone()
            return BadRow([Refusal(line, draft.key, describe_repeat(draft, name, key, first))])
    return draft


def list_keys(draft: ProductDraft) -> Iterator[tuple[int, str, str]]:
    if draft.slug:
        yield draft.line, "Handle" if draft.is_found_by_slug else "slug", draft.slug
    yield draft.line, "sku", draft.sku
    for variant in draft.variants:
        yield variant.line, "variant SKU", variant.sku


def describe_repeat(draft: ProductDraft, name: str, key: str, first: int) -> str:
    if name == "Handle":
        return f"Handle: '{key}' has rows since line {first} already; rows of one product must stand together"
    return f"{name}: '{key}' stands on line {first} already; keep one of the two rows, or give one another SKU"
