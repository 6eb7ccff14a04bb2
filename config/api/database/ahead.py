"""Threads that make items before they are used: the results of calls, or the items of one generator.

So the wait for a database and the work on its rows go on at the same time. The threads may use any processor, even if
the process is kept to one.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from itertools import islice

from django.db import connections

from config.process.affinity import go_anywhere

# A single reader gains nothing from more threads, and they would slow everybody else.
GREATEST_WIDTH = 2


def call_ahead[Item](calls: Iterator[Callable[[], Item]], width: Callable[[], int]) -> Iterator[Item]:
    """The results of the calls, in order. The next `width()` calls run in threads while the caller uses a result."""
    with ThreadPoolExecutor(GREATEST_WIDTH, thread_name_prefix="ahead", initializer=go_anywhere) as threads:
        coming = deque(threads.submit(call) for call in islice(calls, 1))
        while coming:
            item = coming.popleft().result()
            coming.extend(threads.submit(call) for call in islice(calls, max(0, width() - len(coming))))
            yield item
            del item  # otherwise memory would hold it together with the next one


def read_ahead[Item](items: Generator[Item]) -> Generator[Item]:
    """The generator's items. A thread makes the next item while the caller uses one. Its exceptions are raised here.

    The thread runs in the caller's context, which holds the request's record and the database that it reads.
    """
    run, make = copy_context().run, partial(next, items, None)
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead", initializer=go_anywhere) as thread:
        try:
            coming = thread.submit(run, make)
            while (item := coming.result()) is not None:
                coming = thread.submit(run, make)
                yield item
                del item  # otherwise memory would hold it together with the next one
        finally:
            # Its own thread closes it: connections belong to the thread that opened them.
            thread.submit(run, items.close).result()
            thread.submit(connections.close_all).result()
