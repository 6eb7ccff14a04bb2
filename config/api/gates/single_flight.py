"""Single flight: of the requests that miss one cache key, one fills it and the others wait, in all processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Event, Lock

from config.api.gates.entries import Entry
from config.process.capacity import MOST_AT_FLIGHTS

# A page takes milliseconds. A request that has waited so long asks the database itself.
WAIT_SECONDS = 2.0
# Redis wakes nobody, so a process that waits for another one looks again after this time.
LOOK_SECONDS = 0.004
WAIT_FOR_OTHERS_SECONDS = 1.0


class Flight:
    """One fill under way; `entry` stays None if the fill made nothing that others may have."""

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
        """The flight for `key`, and whether the caller leads it, that is, must fill.

        Another caller gets it once it has landed, after WAIT_SECONDS, or at once if too many wait already.
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
        """Wait unless too many do already: if the database hangs, they would take every thread, the probes' too."""
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
