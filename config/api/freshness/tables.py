"""SQL in, the tables that it reads out. A cached answer is current until one of its tables changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

from django.apps import apps

from config.api.database.observers import observe
from config.api.freshness.leases import FRESHNESS

WORD = re.compile(r"\w+")


class Reads:
    """Observes statements, and collects the tables that they read."""

    def __init__(self) -> None:
        self.tables: frozenset[str] = frozenset()

    def __call__(self, execute: Callable[..., Any], sql: Any, *args: Any) -> Any:
        self.tables |= find_tables(str(sql))
        return execute(sql, *args)

    @property
    def are_followed(self) -> bool:
        """Whether the log covers every table that was read."""
        return self.tables <= FRESHNESS.tables


@contextmanager
def note_reads() -> Iterator[Reads]:
    """Collect the tables that this thread reads in the block."""
    reads = Reads()
    with observe(reads):
        yield reads


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
