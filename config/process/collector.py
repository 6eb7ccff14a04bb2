"""Python's garbage collector, paused while many rows are made."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pause_collector() -> Iterator[None]:
    """Pause the collector for a batch: it would walk the batch's rows again and again.

    Objects in reference cycles stay until the batch is over; all others are freed as usual.
    """
    gc.disable()
    try:
        yield
    finally:
        # Always enable: two batches in one process may end in either order.
        gc.enable()
