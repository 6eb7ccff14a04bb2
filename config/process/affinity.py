"""One processor for each web worker: its threads share Python's lock, and hand it around for less on one core.

On many, whoever lets go of the lock wakes a thread elsewhere, and goes on before that one is awake: two fifths of what
perf saw of kept answers was the kernel, switching between threads. On one core 16 clients get 11 to 22 % more pages for
13 to 20 % less processor each, and 28 to 66 % more kept ones for 43 to 53 % less (two cores, granian 2.8.7). Streams
work mostly outside the lock, so their threads may go anywhere.

A worker takes a processor that no other of its server has, or none at all, and stays there. Two servers of one machine
may choose the same one, and should have processors of their own (taskset, cpuset, systemd's CPUAffinity=).
"""

import fcntl
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import IO

# Only Linux lets one say where threads are to run.
CAN_CHOOSE = hasattr(os, "sched_setaffinity")


def go_to(processors: set[int]) -> None:
    """The thread at hand; it stays where it is if the system has other plans."""
    with suppress(OSError):
        os.sched_setaffinity(0, processors)


class Place:
    """Where a process works; `folder` is shared by those that keep out of each other's way, `all` may be used."""

    def __init__(self, folder: Path, everywhere: set[int]) -> None:
        self.folder, self.all = folder, everywhere
        self.processor: int | None = None
        self.lock: IO[bytes] | None = None

    def settle(self) -> None:
        """Wherever there is room; threads begin where the one is that starts them."""
        if len(self.all) > 1 and any(map(self.take, random.sample(sorted(self.all), len(self.all)))):
            self.come_back()

    @property
    def here(self) -> set[int]:
        return self.all if self.processor is None else {self.processor}

    def take(self, processor: int) -> bool:
        """False where another worker has it, or nobody can say so; the kernel gives a dead one's back."""
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
        """The thread at hand may go anywhere."""
        go_to(self.all)

    def come_back(self) -> None:
        go_to(self.here)


class Anywhere:
    """Of a process that has no place of its own."""

    def leave(self) -> None:
        return

    def come_back(self) -> None:
        return


PLACE: Place | Anywhere = Anywhere()


def go_anywhere() -> None:
    """First in each thread of a pool: a thread begins on the processor to which its maker is kept."""
    PLACE.leave()


def count_processors() -> int:
    """Those that this process may use; a web worker that keeps to one may use others for streams."""
    if isinstance(PLACE, Place):
        return len(PLACE.all)
    return len(os.sched_getaffinity(0)) if CAN_CHOOSE else os.cpu_count() or 1


def settle() -> None:
    """In a web worker, before there are other threads."""
    global PLACE  # noqa: PLW0603 (one a process; known only after the fork)
    if CAN_CHOOSE and (folder := os.environ.get("METRICS_FOLDER")):
        PLACE = place = Place(Path(folder), os.sched_getaffinity(0))
        place.settle()
