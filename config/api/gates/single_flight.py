"""Single flight: if several requests miss one cache key, one of them fills it and the others wait.

This holds among the threads of a process, and by a claim in Redis among processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Event, Lock

from config.api.gates.entries import Entry
from config.process.capacity import MOST_AT_FLIGHTS

# A page takes milliseconds. After this wait a request asks the database itself.
WAIT_SECONDS = 2.0
# Redis sends no notice, so a process that waits for another one looks again after this time.
LOOK_SECONDS = 0.004
WAIT_FOR_OTHERS_SECONDS = 1.0


class Flight:
    """One fill in progress. `entry` stays None if the answer can't be cached."""

    def __init__(self) -> None:
        self.done = Event()
        self.entry: Entry | None = None
        self.waiting = 0


class SingleFlight:
    """The flights of this process, by cache key."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.running: dict[Hashable, Flight] = {}
        self.room = BoundedSemaphore(MOST_AT_FLIGHTS)

    @contextmanager
    def join(self, key: Hashable) -> Iterator[tuple[Flight, bool]]:
        """The flight for `key`, and whether the caller leads it. The leader must fill the entry.

        Other callers wait until the flight ends, at most WAIT_SECONDS. They don't wait if too many do already.
        """
        with self.lock:
            leads = key not in self.running
            flight = self.running.setdefault(key, Flight())
            flight.waiting += not leads
        if not leads:
            self.wait(flight)
            yield flight, False
            return
        try:
            yield flight, True
        finally:
            with self.lock:
                del self.running[key]
            flight.done.set()

    def wait(self, flight: Flight) -> None:
        """Wait unless too many do already. If the database hangs, waiting requests would take all threads, and the
        probes would have none.
        """
        if self.room.acquire(blocking=False):
            try:
                flight.done.wait(WAIT_SECONDS)
            finally:
                self.room.release()


def wait_for_others(look: Callable[[], Entry | None]) -> Entry | None:
    """The entry that another process fills; None if it isn't there within WAIT_FOR_OTHERS_SECONDS."""
    end = time.monotonic() + WAIT_FOR_OTHERS_SECONDS
    while time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
        if entry := look():
            return entry
    return None
