"""One processor for each web worker: its threads share Python's lock, and hand it around for less on one core.

On many, whoever lets go of the lock wakes a thread elsewhere, and goes on before that one is awake: two fifths of what
perf saw of kept answers was the kernel, switching between threads. On one core 16 clients get 11 to 22 % more pages for
13 to 20 % less processor each, and 28 to 66 % more kept ones for 43 to 53 % less (two cores, granian 2.8.7). Streams
work mostly outside the lock, so their threads may go anywhere.

A worker takes a processor that no other of its server has, or none at all; where somebody else's work crowds it there
while another processor idles, it moves.
"""

import fcntl
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

# Only Linux lets one say where threads are to run.
CAN_CHOOSE = hasattr(os, "sched_setaffinity")

LOOK_SECONDS = 1.0
# Shares of a second: a processor below the first has nothing left, above the second it is free; and what a worker must
# at least have got of a busy one to have had it for itself.
BUSY_IDLE, FREE_IDLE = 0.05, 0.5
OWN_LEAST = 0.7

# Idle seconds of each processor since the machine's start.
type Idle = Mapping[int, float]


def read_idle() -> Idle:
    """Linux's: `cpu3 user nice system idle iowait …`, in ticks (proc_stat(5))."""
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    tick = os.sysconf("SC_CLK_TCK")
    return {
        int(words[0][3:]): (int(words[4]) + int(words[5])) / tick
        for words in lines
        if words[0].startswith("cpu") and words[0] != "cpu"
    }


def send(task: int, processors: set[int]) -> None:
    """A thread, or with 0 the one at hand; it stays where it is if it has ended, or the system has other plans."""
    with suppress(OSError):
        os.sched_setaffinity(task, processors)


class Place:
    """Where a process works; `folder` is shared by those that keep out of each other's way, `all` may be used."""

    def __init__(self, folder: Path, everywhere: set[int]) -> None:
        self.folder, self.all = folder, everywhere
        self.processor: int | None = None
        self.lock: IO[bytes] | None = None

    def settle(self) -> None:
        """Wherever there is room; threads begin where the one is that starts them."""
        if len(self.all) > 1 and any(map(self.take, random.sample(sorted(self.all), len(self.all)))):
            self.move(self.all)

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
        if self.lock:
            self.lock.close()
        self.processor, self.lock = processor, file
        return True

    def leave(self) -> None:
        """The thread at hand may go anywhere."""
        send(0, self.all)

    def come_back(self) -> None:
        send(0, self.here)

    # -- where it is crowded

    def watch(self) -> None:
        """In a thread of its own, for as long as the process lives."""
        if len(self.all) > 1 and os.access("/proc/stat", os.R_OK):
            threading.Thread(target=self.look_on, name="affinity", daemon=True).start()

    def look_on(self) -> None:
        idle, used = read_idle(), time.process_time()
        while True:
            time.sleep(LOOK_SECONDS)  # the kernel tells nobody that a processor idles
            before, idle = idle, read_idle()
            before_used, used = used, time.process_time()
            gone = {processor: idle[processor] - before.get(processor, 0) for processor in self.all & set(idle)}
            if self.processor is None:
                self.settle()
            else:
                self.avoid_crowd(gone, used - before_used)

    def avoid_crowd(self, idle: Idle, used: float, choose: Callable[[], float] = random.random) -> None:
        """By what a second had of idle time and of our own; not each time, or two would chase each other."""
        old, best = self.here, max(idle, key=lambda processor: idle[processor], default=None)
        is_crowded = all(idle.get(processor, 1.0) < BUSY_IDLE for processor in old) and used < OWN_LEAST
        if best is not None and is_crowded and idle[best] > FREE_IDLE and choose() < 0.5 and self.take(best):
            self.move(old)

    def move(self, old: set[int]) -> None:
        """Every thread that was kept at `old`."""
        for task in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # it has ended meanwhile
                if os.sched_getaffinity(int(task)) == old:
                    send(int(task), self.here)


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
        place.watch()
