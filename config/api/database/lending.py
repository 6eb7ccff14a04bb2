"""Database connections that go from thread to thread, one thread at a time.

Django gives each thread connections of its own and leaves them open; a server of some hundred threads, few of which
are at work, would hold as many.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, LifoQueue
from typing import Any, Self

from django.db import OperationalError, close_old_connections, connections

# A loan is for a look-up of a millisecond; past this the database hangs.
PATIENCE_SECONDS = 0.25

type Connections = dict[str, Any]


class Loan:
    """`with loan:` this thread uses these connections, and no others; they are made when they're first asked for."""

    def __init__(self) -> None:
        self.connections: Connections = {}
        self.own: Connections = {}

    def __enter__(self) -> Self:
        self.own = take_connections()
        put_connections(self.connections)
        return self

    def __exit__(self, *failure: object) -> None:
        self.connections = take_connections()
        put_connections(self.own)
        self.own = {}

    def give_away(self) -> Connections:
        """For good, to somebody who is in the middle of something with them; the loan goes on with others."""
        return take_connections()


class Loans:
    """So many, for whoever works outside the slots; the one used last is lent first, so few connections are made."""

    def __init__(self, number: int) -> None:
        self.free: LifoQueue[Loan] = LifoQueue()
        for _ in range(number):
            self.free.put(Loan())

    @contextmanager
    def lend(self) -> Iterator[None]:
        """OperationalError where all of them are at work, and stay so."""
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
    """This thread's, which it then hasn't got any more; any thread may use them next."""
    taken = {}
    for connection in connections.all(initialized_only=True):
        if not connection.allow_thread_sharing:
            connection.inc_thread_sharing()
        taken[connection.alias] = connection
        del connections[connection.alias]
    return taken


def put_connections(taken: Connections) -> None:
    for alias, connection in taken.items():
        connections[alias] = connection
