"""SQL in, the tables that it reads out. A cached answer is current until one of its tables changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache

from django.apps import apps

from config.api.database.observers import note_statements
from config.api.freshness.leases import FRESHNESS

WORD = re.compile(r"\w+")


class Reads:
    """Statements that were noted, and the tables that they read."""

    def __init__(self, statements: Sequence[str]) -> None:
        self.statements = statements

    @property
    def tables(self) -> frozenset[str]:
        return find_all_tables(self.statements)

    @property
    def are_followed(self) -> bool:
        """Whether the log covers every table that was read."""
        return self.tables <= FRESHNESS.tables


@contextmanager
def note_reads() -> Iterator[Reads]:
    """Collect the tables that this thread reads in the block."""
    with note_statements() as statements:
        yield Reads(statements)


def find_all_tables(statements: Iterable[str]) -> frozenset[str]:
    return frozenset(table for sql in statements for table in find_tables(sql))


@lru_cache(maxsize=1024)
def find_tables(sql: str) -> frozenset[str]:
    """The models' tables that a statement names.

    A word that begins like a logged table but isn't a model's table, such as a search index, stands for all logged
    tables. Tables that decide what a caller may see are left out, since each request reads them again.
    """
    words = set(WORD.findall(sql))
    named = words & _list_tables()
    hidden = any(word.startswith(_list_prefixes()) for word in words - named)
    return frozenset(named - (FRESHNESS.watched - FRESHNESS.tables)) | (FRESHNESS.tables if hidden else frozenset())


@cache
def _list_tables() -> frozenset[str]:
    return frozenset(model._meta.db_table for model in apps.get_models(include_auto_created=True))


@cache
def _list_prefixes() -> tuple[str, ...]:
    return tuple({f"{table.split('_')[0]}_" for table in FRESHNESS.tables})
