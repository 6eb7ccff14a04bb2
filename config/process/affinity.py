"""One processor for each web worker: its threads share Python's lock, and on one core they pass it on at less cost.

On several cores a thread that releases the lock wakes a thread elsewhere, and takes the lock again before that one is
awake. With cached answers, perf saw two fifths of the time in the kernel, switching between threads. On one core 16
clients get 11 to 22 % more pages for 13 to 20 % less processor time each, and 28 to 66 % more cached answers for 43 to
53 % less (two cores, granian 2.8.7). Streams work mostly outside the lock, so their threads may use any core.

A worker takes a processor that no other worker of its server has, or none, and stays there. Two servers of one machine
may choose the same processor; give each its own (taskset, cpuset, systemd's CPUAffinity=).
"""

import fcntl
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import IO

# Only Linux lets a process choose where its threads run.
CAN_CHOOSE = hasattr(os, "sched_setaffinity")


def go_to(processors: set[int]) -> None:
    """Move the current thread to `processors`. If the system refuses, the thread stays where it is."""
    with suppress(OSError):
        os.sched_setaffinity(0, processors)


class Place:
    """The processor of a process, among those that it may use (`everywhere`).

    The processes of one server share `folder`, which holds a lock file for each processor.
    """

    def __init__(self, folder: Path, everywhere: set[int]) -> None:
        self.folder, self.all = folder, everywhere
        self.processor: int | None = None
        self.lock: IO[bytes] | None = None

    def settle(self) -> None:
        """Take any free processor. A new thread begins on the processor of the thread that starts it."""
        if len(self.all) > 1 and any(map(self.take, random.sample(sorted(self.all), len(self.all)))):
            self.come_back()

    @property
    def here(self) -> set[int]:
        return self.all if self.processor is None else {self.processor}

    def take(self, processor: int) -> bool:
        """Lock a processor; false if another worker has it, or locking fails. The kernel frees a dead worker's lock."""
        try:
            file = (self.folder / f"processor-{processor}.lock").open("wb")
        except OSError:
            return False  # a full disk
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self.processor, self.lock = processor, file
        return True

    def leave(self) -> None:
        """Let the present thread use any processor of the process."""
        go_to(self.all)

    def come_back(self) -> None:
        go_to(self.here)


class Anywhere:
    """The place of a process that may use every processor."""

    def leave(self) -> None:
        return

    def come_back(self) -> None:
        return


PLACE: Place | Anywhere = Anywhere()


def go_anywhere() -> None:
    """Call it first in each thread of a pool: a thread begins on the one processor of the thread that starts it."""
    PLACE.leave()


def count_processors() -> int:
    """The number of processors that this process may use, including those that a web worker uses only for streams."""
    if isinstance(PLACE, Place):
        return len(PLACE.all)
    return len(os.sched_getaffinity(0)) if CAN_CHOOSE else os.cpu_count() or 1


def settle() -> None:
    """Choose this web worker's processor. Call it before it starts other threads."""
    global PLACE  # noqa: PLW0603 (one a process; known only after the fork)
    if CAN_CHOOSE and (folder := os.environ.get("METRICS_FOLDER")):
        PLACE = place = Place(Path(folder), os.sched_getaffinity(0))
        place.settle()
