"""Drafts in, the same drafts out; a draft whose SKU or handle an earlier line has becomes a BadRow.

Afterwards `Seen` tells which products the file names. The SKUs are in a temporary SQLite file, which is deleted with
its connection: ten million SKUs in a Python set would take about a gigabyte.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from catalog.imports.errors import BadRow, Line
from catalog.imports.terms import TermDraft
from catalog.imports.upsert import describe_fault
from catalog.writes.drafts import DraftFault, ProductDraft
from catalog.writes.known import list_variants
from catalog.writes.sentences import NOUNS, say_repeated

type Draft = ProductDraft | TermDraft

# A database with an empty name is a temporary file. SQLite writes it to disk only beyond these 16 MiB of cache.
SET_UP = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
CREATE TABLE seen (key TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID;
BEGIN;
"""


class Seen:
    """The SKUs and slugs of a file, and the lines where they are."""

    def __init__(self) -> None:
        # The run reads in one thread and asks in another, never at the same time.
        self.database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.database.executescript(SET_UP)

    def close(self) -> None:
        self.database.close()

    def refuse_repeats(self, drafts: Iterable[Draft | BadRow]) -> Iterator[Draft | BadRow]:
        """The first draft with a key passes. A later one becomes a BadRow that names the first one's line."""
        for draft in drafts:
            yield draft if isinstance(draft, BadRow) else self.refuse_repeat(draft)

    def refuse_repeat(self, draft: Draft) -> Draft | BadRow:
        for kind, place, member, value in list_names(draft):
            key = f"{kind}\0{value}"
            if self.database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, place.number)).rowcount == 0:
                (first,) = self.database.execute("SELECT line FROM seen WHERE key = ?", (key,)).fetchone()
                sentence = describe_repeat(member, value, Line(first))
                found: Any = draft.place
                refusal = describe_fault(draft.key, DraftFault(place, member, "repeated", sentence))
                return BadRow([refusal], found.number)
        return draft

    def has(self, kind: str, value: str) -> bool:
        """Whether the file names a `product` (by its SKU) or a `slug`."""
        found = self.database.execute("SELECT 1 FROM seen WHERE key = ?", (f"{kind}\0{value}",))
        return found.fetchone() is not None


def list_names(draft: Draft) -> Iterator[tuple[str, Any, str, str]]:
    """`(kind, place, member, name)` of each slug and SKU in the draft."""
    if isinstance(draft, TermDraft):
        yield draft.kind, draft.place, draft.kind, draft.key
        return
    if draft.slug:
        yield "slug", draft.place, "Handle" if draft.is_found_by_slug else "slug", draft.slug
    if draft.sku:
        yield "product", draft.place, "sku", draft.sku
    for variant in list_variants(draft):
        if variant.sku:
            yield "variant", variant.place, "sku", variant.sku


def describe_repeat(member: str, value: str, first: Line) -> str:
    if member == "Handle":
        # Rows of one Handle are together by now, so these are two spellings: Mug and mug.
        remedy = "spell it alike in all rows of one product, or give this product another one"
        return f"{value!r} is already the Handle {first.locate(member)}; {remedy}."
    return say_repeated(value, first.locate(member), NOUNS.get(member, ""))
