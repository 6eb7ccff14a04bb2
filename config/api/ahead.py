"""A generator in, the same items out, each made by a thread while the one before is used.

What waits for a database, and what it gave, then cost their time side by side.
"""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

from django.db import connections


def read_ahead[Item](items: Generator[Item]) -> Iterator[Item]:
    """One item ahead; what the generator raises is raised here, and it is closed by its own thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        try:
            coming = thread.submit(next, items, None)
            while (item := coming.result()) is not None:
                coming = thread.submit(next, items, None)
                yield item
                del item  # or it would stay beside the next one
        finally:
            # By its own thread: what it holds may belong to it, and so do connections that were opened there.
            thread.submit(items.close).result()
            thread.submit(connections.close_all).result()
