"""Threads of a test that begin at the same moment, each with database connections of its own."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection, connections

# The test server takes 100 connections; SQLite has one writer, for whom the others wait.
CONNECTIONS = 80 if connection.vendor == "postgresql" else 4


def run_together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each call returns, all begun at the same moment, each in a thread of its own."""
    found: list[Any] = [None] * len(calls)
    start, slots = threading.Barrier(len(calls)), threading.BoundedSemaphore(CONNECTIONS)

    def run(index: int) -> None:
        start.wait()
        with slots:
            try:
                found[index] = calls[index]()
            finally:
                connections.close_all()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
