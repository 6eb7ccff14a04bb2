"""A share of what a process can do at once, for work of one kind, so that it leaves the rest to others."""

from __future__ import annotations

import time
from threading import BoundedSemaphore, Semaphore

from config.process.capacity import WAIT_SECONDS


class Share:
    """At most `size` at once. `waiting` more may wait for WAIT_SECONDS; whoever comes then is refused."""

    def __init__(self, size: int, waiting: int = 0) -> None:
        self.places, self.queue = BoundedSemaphore(size), Semaphore(waiting)
        # When somebody was refused last, in seconds of the monotonic clock.
        self.refused_at = float("-inf")

    def take(self) -> bool:
        """Take a place; false if there is none. Whoever gets one calls `release`."""
        if self.places.acquire(blocking=False) or self.wait():
            return True
        self.refused_at = time.monotonic()
        return False

    def wait(self) -> bool:
        if not self.queue.acquire(blocking=False):
            return False
        try:
            return self.places.acquire(timeout=WAIT_SECONDS)
        finally:
            self.queue.release()

    def release(self) -> None:
        self.places.release()
