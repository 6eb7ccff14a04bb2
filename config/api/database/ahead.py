"""Items that threads make ahead of who uses them: what calls give, or one generator's.

What waits for a database, and what it gave, then cost their time side by side; on any processor, also where the one
who uses them is kept to one.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from itertools import islice

from django.db import connections

from config.process.affinity import go_anywhere

# More would take from everybody else what a single reader has no use for.
GREATEST_WIDTH = 2


def call_ahead[Item](calls: Iterator[Callable[[], Item]], width: Callable[[], int]) -> Iterator[Item]:
    """What each call gives, in their order; the next `width()` of them run in threads while one is used."""
    with ThreadPoolExecutor(GREATEST_WIDTH, thread_name_prefix="ahead", initializer=go_anywhere) as threads:
        coming = deque(threads.submit(call) for call in islice(calls, 1))
        while coming:
            item = coming.popleft().result()
            coming.extend(threads.submit(call) for call in islice(calls, max(0, width() - len(coming))))
            yield item
            del item  # or it would stay beside the next one


def read_ahead[Item](items: Generator[Item]) -> Iterator[Item]:
    """One item ahead; what the generator raises is raised here, and it is closed by its own thread.

    It runs in the caller's context, which says of which request it is and from where it may read.
    """
    run, make = copy_context().run, partial(next, items, None)
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead", initializer=go_anywhere) as thread:
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
