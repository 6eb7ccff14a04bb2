"""Observers of statements: they see every connection of the thread, also one that is made or lent later.

Django's `execute_wrapper` belongs to one connection, which must exist already.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from random import getrandbits
from typing import Any

from django.db import DatabaseError

from config.api.database.recent_writes import note_error

# Like Django's wrappers: takes (execute, sql, params, many, context), returns `execute(sql, params, many, context)`.
type Wrapper = Callable[..., Any]

# Called after each statement that may write, with its SQL and its connection.
WRITE_LISTENERS: list[Callable[[str, Any], None]] = []

OBSERVERS: ContextVar[tuple[Wrapper, ...]] = ContextVar("observers", default=())
# The lists of the blocks of `note_statements` that the thread is in.
NOTES: ContextVar[tuple[list[str], ...]] = ContextVar("notes", default=())


@contextmanager
def observe(observer: Wrapper) -> Iterator[None]:
    """Wrap `observer` around each statement of the block."""
    token = OBSERVERS.set((*OBSERVERS.get(), observer))
    try:
        yield
    finally:
        OBSERVERS.reset(token)


@contextmanager
def note_statements() -> Iterator[list[str]]:
    """A list to which the SQL of each statement is added that this thread runs within the block."""
    statements: list[str] = []

    def note(execute: Callable[..., Any], sql: Any, *args: Any) -> Any:
        statements.append(str(sql))
        return execute(sql, *args)

    token = NOTES.set((*NOTES.get(), statements))
    try:
        with observe(note):
            yield statements
    finally:
        NOTES.reset(token)


def note_again(tables: Iterable[str]) -> None:
    """Add tables that were read before to the lists: an answer needs what was found there, so it depends on them."""
    for noted in NOTES.get():
        noted.extend(tables)


class QueryClock:
    """An observer that counts the queries of one request and their seconds."""

    queries = 0
    seconds = 0.0

    def __call__(self, execute: Callable[..., Any], *args: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(*args)
        finally:
            self.queries += 1
            self.seconds += time.perf_counter() - began


# The attribute of a connection of SQLite with the number of its transaction, by which triggers know it again.
TRANSACTION = "tenfold_transaction"


def number_transaction(connection: Any) -> None:
    """Before a statement that may write: BEGIN, or one outside of a transaction, begins a transaction of its own.

    PostgreSQL numbers them itself, SQLite doesn't. Another process takes the same number once in 2 ** 62 times.
    """
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        setattr(connection, TRANSACTION, getrandbits(62))


def execute_observed(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """An `execute_wrapper` of every connection: calls the thread's observers, and after a write its listeners."""
    for observer in OBSERVERS.get():
        execute = partial(observer, execute)
    # Most statements are SELECTs, which the first letter tells.
    if (text := str(sql)).lstrip()[:1] in "Ss":
        return execute(sql, params, many, context)
    number_transaction(context["connection"])
    try:
        result = execute(sql, params, many, context)
    except DatabaseError as error:
        note_error(error)
        raise
    for listener in WRITE_LISTENERS:
        listener(text, context["connection"])
    return result
