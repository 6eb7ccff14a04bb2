"""One fill a question at a time: who asks meanwhile waits for it, in this process and in the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Event, Lock

from config.api.gates.entries import Entry
from config.process.capacity import MOST_AT_FILLS

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
        self.room = BoundedSemaphore(MOST_AT_FILLS)

    @contextmanager
    def join(self, key: Hashable) -> Iterator[tuple[Fill, bool]]:
        """The fill, and whether it is the caller's to do; else it is over, or took too long, or too many wait."""
        with self.lock:
            leads = key not in self.running
            fill = self.running.setdefault(key, Fill())
            fill.waiting += not leads
        if not leads:
            self.wait(fill)
            yield fill, False
            return
        try:
            yield fill, True
        finally:
            with self.lock:
                del self.running[key]
            fill.done.set()

    def wait(self, fill: Fill) -> None:
        """Unless too many wait already: where the database hangs they would take every thread, the probes' too."""
        if self.room.acquire(blocking=False):
            try:
                fill.done.wait(WAIT_SECONDS)
            finally:
                self.room.release()


def wait_for_others(look: Callable[[], Entry | None]) -> Entry | None:
    """What another process fills; None where it takes too long."""
    end = time.monotonic() + WAIT_FOR_OTHERS_SECONDS
    while time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
        if entry := look():
            return entry
    return None
