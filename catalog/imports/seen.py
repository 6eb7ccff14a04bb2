"""Drafts in, the same drafts out; a draft whose SKU or handle an earlier line has becomes a BadRow.

Afterwards `Seen` tells which products the file names. The SKUs are in a temporary SQLite file, which is deleted with
its connection: ten million SKUs in a Python set would take about a gigabyte.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
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
FIND = "SELECT key, line FROM seen WHERE key IN (SELECT value FROM json_each(?))"


class Seen:
    """The SKUs and slugs of a file, and the lines where they are."""

    def __init__(self) -> None:
        # The run reads in one thread and asks in another, never at the same time.
        self.database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.database.executescript(SET_UP)

    def close(self) -> None:
        self.database.close()

    def refuse_repeats(self, batch: Sequence[Draft | BadRow]) -> list[Draft | BadRow]:
        """The first draft with a key passes. A later one becomes a BadRow that names the first one's line.

        SQLite is asked once a batch: a statement for each key took a seventh of the CPU of an unchanged file.
        """
        keys = [key for row in batch if not isinstance(row, BadRow) for key, *_ in list_names(row)]
        found = self.database.execute(FIND, (json.dumps(keys),)).fetchall()
        lines = dict(found)
        rows = [row if isinstance(row, BadRow) else refuse_repeat(row, lines) for row in batch]
        added = list(lines.items())[len(found) :]
        self.database.executemany("INSERT INTO seen VALUES (?, ?)", sorted(added))
        return rows

    def has(self, kind: str, value: str) -> bool:
        """Whether the file names a `product` (by its SKU) or a `slug`."""
        found = self.database.execute("SELECT 1 FROM seen WHERE key = ?", (make_key(kind, value),))
        return found.fetchone() is not None


def refuse_repeat(draft: Draft, lines: dict[str, int]) -> Draft | BadRow:
    """Adds the draft's keys to `lines`."""
    for key, place, member, value in list_names(draft):
        if key in lines:
            sentence = describe_repeat(member, value, Line(lines[key]))
            found: Any = draft.place
            refusal = describe_fault(draft.key, DraftFault(place, member, "repeated", sentence))
            return BadRow([refusal], found.number)
        lines[key] = place.number
    return draft


def list_names(draft: Draft) -> Iterator[tuple[str, Any, str, str]]:
    """`(key, place, member, name)` of each slug and SKU in the draft."""
    if isinstance(draft, TermDraft):
        yield make_key(draft.kind, draft.key), draft.place, draft.kind, draft.key
        return
    if draft.slug:
        member = "Handle" if draft.is_found_by_slug else "slug"
        yield make_key("slug", draft.slug), draft.place, member, draft.slug
    if draft.sku:
        yield make_key("product", draft.sku), draft.place, "sku", draft.sku
    for variant in list_variants(draft):
        if variant.sku:
            yield make_key("variant", variant.sku), variant.place, "sku", variant.sku


def make_key(kind: str, name: str) -> str:
    return f"{kind}\n{name}"


def describe_repeat(member: str, value: str, first: Line) -> str:
    if member == "Handle":
        # Rows of one Handle are together by now, so these are two spellings: Mug and mug.
        remedy = "spell it alike in all rows of one product, or give this product another one"
        return f"{value!r} is already the Handle {first.locate(member)}; {remedy}."
    return say_repeated(value, first.locate(member), NOUNS.get(member, ""))
