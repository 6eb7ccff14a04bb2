"""Runs functions in threads that begin at the same moment, each with its own database connections."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection, connections

# The test server allows 100 connections. On SQLite all wait for the only writer.
CONNECTIONS = 80 if connection.vendor == "postgresql" else 4


def run_together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """The results of the calls. All begin at the same moment, each in its own thread."""
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
