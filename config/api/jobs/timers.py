"""Work that is due at a moment: a thread of each worker waits for the moment, and runs it within milliseconds.

An app registers a timer in `ready()`. Its `find_wait` says by the database's clock in how many seconds something is
due, and `run` does what is due then. All workers run it, so it locks what it works on. If it fails, the failure is
logged, and it is tried again at the next look.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from django.db import DatabaseError, connection

logger = logging.getLogger("tenfold.timers")

# Seconds between two looks if nothing is due, so the delay of what was planned for at once.
LOOK_SECONDS = 1.0
# And after a run: another worker may hold what is due.
PAUSE_SECONDS = 0.05
# Held while the thread uses the database: a fork at that moment would copy its connection (config/worker.py).
IN_DATABASE = threading.Lock()


@dataclass(frozen=True)
class Timer:
    """`name` ends the sentence "The worker can't …" of the log."""

    name: str
    find_wait: Callable[[], float]
    run: Callable[[], object]

    def run_if_due(self) -> float:
        """Seconds until the next look."""
        if (wait := self.find_wait()) > 0:
            return min(wait, LOOK_SECONDS)
        self.run()
        return PAUSE_SECONDS


TIMERS: dict[str, Timer] = {}


def register_timer(name: str, find_wait: Callable[[], float], run: Callable[[], object]) -> None:
    TIMERS[name] = Timer(name, find_wait, run)


class Timekeeper(threading.Thread):
    """`with Timekeeper():` runs the timers while the block runs."""

    def __init__(self) -> None:
        super().__init__(name="timekeeper", daemon=True)
        self.done = threading.Event()
        # What failed at the last attempt, and why.
        self.failing: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.join()

    def run(self) -> None:
        wait = 0.0
        while not self.done.wait(wait):
            wait = min((self.look(timer) for timer in TIMERS.values()), default=LOOK_SECONDS)
        connection.close()

    def look(self, timer: Timer) -> float:
        with IN_DATABASE:
            try:
                connection.close_if_unusable_or_obsolete()
                wait = timer.run_if_due()
            except Exception as error:
                # Any error: the next look may succeed.
                self.complain(timer.name, error)
                connection.close()
                return LOOK_SECONDS
        if self.failing.pop(timer.name, None):
            logger.info("The worker can %s again", timer.name)
        return wait

    def complain(self, name: str, error: Exception) -> None:
        """Log an error once, until it is gone or another one comes."""
        if self.failing.get(name) != repr(error):
            is_known = isinstance(error, DatabaseError)
            level = logging.WARNING if is_known else logging.ERROR
            logger.log(level, "The worker can't %s: %s", name, error, exc_info=not is_known)
        self.failing[name] = repr(error)
