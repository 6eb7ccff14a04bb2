"""A generator in, the same items out, each made by a thread while the one before is used.

What waits for a database, and what it gave, then cost their time side by side.
"""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

from django.db import connections


def read_ahead[Item](items: Generator[Item]) -> Iterator[Item]:
    """One item ahead; what the generator raises is raised here, and it is closed by its own thread.

    It runs in the caller's context, which says of which request it is and from where it may read.
    """
    run, make = copy_context().run, partial(next, items, None)
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        try:
            coming = thread.submit(run, make)
            while (item := coming.result()) is not None:
                coming = thread.submit(run, make)
                yield item
                del item  # or it would stay beside the next one
        finally:
            # By its own thread: what it holds may belong to it, and so do connections that were opened there.
            thread.submit(run, items.close).result()
            thread.submit(connections.close_all).result()
