"""Drafts in, the same drafts out but those whose SKU or handle an earlier line of the file has.

What was seen lies in a temporary SQLite file that the operating system forgets: ten million SKUs in a Python set
take about a gigabyte.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from catalog.imports.errors import BadRow, Line
from catalog.imports.upsert import describe_fault
from catalog.writes.drafts import DraftFault, ProductDraft
from catalog.writes.known import list_variants
from catalog.writes.sentences import NOUNS, say_repeated

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
    for kind, place, member, value in list_names(draft):
        key = f"{kind}\0{value}"
        if seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, place.number)).rowcount == 0:
            (first,) = seen.execute("SELECT line FROM seen WHERE key = ?", (key,)).fetchone()
            sentence = describe_repeat(draft, member, value, Line(first))
            return BadRow([describe_fault(draft.key, DraftFault(place, member, "repeated", sentence))])
    return draft


def list_names(draft: ProductDraft) -> Iterator[tuple[str, Any, str, str]]:
    """What the draft names: its kind, where it stands, its member and the name itself."""
    if draft.slug:
        yield "slug", draft.place, "Handle" if draft.is_found_by_slug else "slug", draft.slug
    if draft.sku:
        yield "product", draft.place, "sku", draft.sku
    for variant in list_variants(draft):
        if variant.sku:
            yield "variant", variant.place, "sku", variant.sku


def describe_repeat(draft: ProductDraft, member: str, value: str, first: Line) -> str:
    if member == "Handle":
        return f"{value!r} has rows since line {first.number} already; rows of one product must stand together."
    return say_repeated(value, first.locate(member), NOUNS[member])
