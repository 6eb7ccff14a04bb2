"""Database connections that are lent from thread to thread; one thread uses them at a time.

Django gives each thread its own connections and leaves them open. A server has some hundred threads, of which few
work at a time; it would hold some hundred connections.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, LifoQueue
from typing import Any, Self

from django.db import OperationalError, close_old_connections, connections

# Seconds. A loan lasts a millisecond, for one look-up. If none is free for this long, the database hangs.
PATIENCE_SECONDS = 0.25

type Connections = dict[str, Any]


class Loan:
    """Within `with loan:` the thread uses the loan's connections only; each is made at its first use."""

    def __init__(self) -> None:
        self.connections: Connections = {}
        self.own: Connections = {}

    def __enter__(self) -> Self:
        self.own = exchange_connections(self.connections)
        return self

    def __exit__(self, *failure: object) -> None:
        self.connections, self.own = exchange_connections(self.own), {}

    def give_away(self) -> Connections:
        """Leave the connections to a stream that still reads from them. The loan makes new ones."""
        return take_connections()


class Loans:
    """A pool of `number` loans for work outside the request slots.

    It lends the loan that was used last, so that few connections are made.
    """

    def __init__(self, number: int) -> None:
        self.free: LifoQueue[Loan] = LifoQueue()
        for _ in range(number):
            self.free.put(Loan())

    @contextmanager
    def lend(self) -> Iterator[None]:
        """Use a loan within the block; OperationalError if none is free within PATIENCE_SECONDS."""
        try:
            loan = self.free.get(timeout=PATIENCE_SECONDS)
        except Empty:
            raise OperationalError("the database keeps every connection of the cache waiting") from None
        try:
            with loan:
                try:
                    yield
                finally:
                    close_old_connections()
        finally:
            self.free.put(loan)


def take_connections() -> Connections:
    """Take this thread's connections away from it, so that any thread may use them."""
    taken = {}
    for connection in connections.all(initialized_only=True):
        if not connection.allow_thread_sharing:
            connection.inc_thread_sharing()
        taken[connection.alias] = connection
        del connections[connection.alias]
    return taken


def exchange_connections(others: Connections) -> Connections:
    """Replace this thread's connections by `others`. Returns the former ones."""
    taken = take_connections()
    put_connections(others)
    return taken


def put_connections(taken: Connections) -> None:
    for alias, connection in taken.items():
        connections[alias] = connection
