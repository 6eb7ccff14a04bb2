"""A semaphore for one kind of work, so that it can't take all of a process's capacity."""

from __future__ import annotations

import time
from threading import BoundedSemaphore, Semaphore

from config.process.capacity import WAIT_SECONDS


class Share:
    """Allows `size` callers at once. `waiting` more may wait, for WAIT_SECONDS; further ones get false."""

    def __init__(self, size: int, waiting: int = 0) -> None:
        self.places, self.queue = BoundedSemaphore(size), Semaphore(waiting)
        # When `take` last returned false, in seconds of the monotonic clock.
        self.refused_at = float("-inf")

    def take(self) -> bool:
        """Take a place; false if there is none. A caller that gets a place must call `release`."""
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
