"""One fill a question at a time: who asks meanwhile waits for it, in this process and in the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from threading import Event, Lock

from config.api.entries import Entry

# A page takes milliseconds. Whoever has waited so long asks the database by himself.
WAIT_SECONDS = 2.0
# In Redis there is nobody to wake one.
LOOK_SECONDS = 0.004
WAIT_FOR_OTHERS_SECONDS = 1.0


class Fill:
    """What the first asker makes; None where it came to nothing that others may have."""

    def __init__(self) -> None:
        self.done = Event()
        self.entry: Entry | None = None
        self.waiting = 0


class Fills:
    """Those under way in this process, by question."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.running: dict[Hashable, Fill] = {}

    @contextmanager
    def join(self, key: Hashable) -> Iterator[tuple[Fill, bool]]:
        """The fill, and whether it is the caller's to do; else it is over by now, or took too long."""
        with self.lock:
            leads = key not in self.running
            fill = self.running.setdefault(key, Fill())
            fill.waiting += not leads
        if not leads:
            fill.done.wait(WAIT_SECONDS)
            yield fill, False
            return
        try:
            yield fill, True
        finally:
            with self.lock:
                del self.running[key]
            fill.done.set()


def wait_for_others(look: Callable[[], Entry | None]) -> Entry | None:
    """What another process fills; None where it takes too long."""
    end = time.monotonic() + WAIT_FOR_OTHERS_SECONDS
    while time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
        if entry := look():
            return entry
    return None
