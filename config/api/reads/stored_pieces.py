"""The pieces of a row's JSON that the database keeps as text beside the row (PostgreSQL).

Nearly all of a page's time is the database's, which writes the same JSON again and again. A read serializer may say

    class Meta:
        stored = True
        stored_lists = {"images": ("image_url",)}

Then the columns of its own table, as far as they stand next to each other among the members, are kept as pieces of text
in the row itself: triggers write them, in the transaction that writes the row. They also keep each list that
`stored_lists` names. (A change of a list's rows writes it again; a change of the named columns, which are derived from
the list, does it at once, and so saves a second update of the row.) Origins are put before paths of this server when
a piece is read: 0.02 of the 0.24 ms that a plain page takes, 0.05 of 0.29 with images. What belongs to other rows is
put between the pieces when they are read: a brand's or a category's own pieces, columns of other tables, addresses. A
renamed brand changes no product. Brands and categories are mostly put there by the server (kept_texts.py).

This module says which members are a piece. stored_triggers.py writes the SQL that keeps them, stored.py puts them
together, and stored_rows.py stores the rows that are older.

`makemigrations` writes the triggers into a migration (catalog/changes/autodetector.py). Each row has the number of the
form that its pieces have, which is a fingerprint of the triggers' SQL. If a row has another number than the serializer
gives, the row isn't stored: the statement returns null for it, and the same page is read again, compiled column by
column. So during a rebuild, or with two releases side by side, each release reads what it would write itself.

Measured on PostgreSQL 15 for a page of 50 with brand, category and images (CPU time of the database, 200,000 products,
a busy machine, medians of 60 rounds in turn; compiled column by column is 1):

| where the pieces are | page | 1,000 prices | 1,000 new products |
| columns of the row, null where they aren't of this form | 0.37 | 1.18 | 1.20 |
| the same, without the joins of brand, category and parent | 0.12 | | |
| columns of the row, compiled SQL in the ELSE of each piece | 0.42 | 1.18 | 1.20 |
| a table 1:1 beside the row, written by statement triggers | 0.47 | 1.10 | 1.15 |

On a quieter machine the first row's page takes 0.33, a page without `expand` 0.57, an NDJSON export 0.43 (0.23 with
`expand`). Through the API of a busy machine, writers have 0.90 times the rows a second where products are new, 1.0
where they change, and 0.89 of prices. Images come after their product, so a new product with images is written twice.
Of the 0.14 ms of CPU that the second time takes, 0.08 go to the 16 indexes, and 0.04 to the list.

The columns make a product of 300 bytes one of 1,000, and all tables of the catalogue 1.28 times as big (1.38 with the
table beside). A change of a price moves `updated_at`, which is indexed, so it never was a HOT update. SQLite has no
trigger that sets a value before a row is written: each write would become two. There reads stay compiled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.urls import get_resolver
from rest_framework.relations import HyperlinkedIdentityField, SlugRelatedField
from rest_framework.serializers import ListSerializer, ModelSerializer

from config.api.reads.columns import NotCompilable, find_column
from config.api.reads.selections import ReadSerializer, find_fields, find_model, find_nested

STORING = "postgresql"
# Fewer members aren't worth a column of their own.
LEAST_MEMBERS = 2
# An expression with such a word reads other rows, the clock or the session, so its value changes without the row.
OF_OTHERS = re.compile(r"\b(select|now|age|\w+_timestamp|current_\w+|random|timeofday)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Piece:
    """A piece of the row's JSON in the column `column`. `names` are its members; a list is one member, without its key.

    `follows` are the columns of the row whose change writes it again.
    """

    column: str
    names: tuple[str, ...]
    follows: tuple[str, ...]
    is_list: bool = False


@cache
def find_pieces(serializer: ReadSerializer) -> tuple[Piece, ...]:
    """The pieces of a serializer's rows, in the order of its members. Empty if it isn't stored."""
    if not is_stored(serializer):
        return ()
    lists = getattr(serializer.Meta, "stored_lists", {})
    groups: list[tuple[str, ...]] = [()]
    for name in find_fields(serializer):
        if name in lists:
            groups += [(name,), ()]
        elif is_own(serializer, name):
            groups[-1] += (name,)
        else:
            groups.append(())
    kept = [group for group in groups if len(group) >= LEAST_MEMBERS or set(group) & set(lists)]
    return tuple(make_piece(serializer, group, f"stored_{number}", lists) for number, group in enumerate(kept, start=1))


def make_piece(
    serializer: ReadSerializer, names: tuple[str, ...], column: str, lists: Mapping[str, Sequence[str]]
) -> Piece:
    model = find_model(serializer)
    if names[0] in lists:
        follows = tuple(find_column(model, name).column for name in lists[names[0]])
        return Piece(column, names, follows, is_list=True)
    sources = [str(find_fields(serializer)[name].source) for name in names]
    return Piece(column, names, tuple(find_column(model, source).column for source in sources))


def is_own(serializer: ReadSerializer, name: str) -> bool:
    """Whether a member shows a column of the row alone."""
    member: Any = find_fields(serializer)[name]
    if isinstance(member, ListSerializer | HyperlinkedIdentityField | SlugRelatedField) or find_nested(member):
        return False
    try:
        find_column(find_model(serializer), str(member.source))
    except NotCompilable:
        return False
    return not OF_OTHERS.search(getattr(member, "database_expression", ""))


def list_stored() -> list[ReadSerializer]:
    """All stored serializers."""
    _ = get_resolver().url_patterns  # imports all views, and so all serializers
    return [serializer for serializer in list_below(ModelSerializer) if is_stored(serializer)]


def is_stored(serializer: ReadSerializer) -> bool:
    # A subclass says it itself: by the Meta that it inherits, it would claim the same columns.
    return bool(vars(vars(serializer).get("Meta", object)).get("stored", False))


def list_below(kind: Any) -> Iterator[Any]:
    for below in kind.__subclasses__():
        yield below
        yield from list_below(below)
