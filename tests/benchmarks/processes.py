"""A process in, the CPU time and memory of it and everything below it out (Linux: from /proc)."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

# Where its process stands in the list behind the name in parentheses (proc(5) counts from 3 there).
PARENT, TIMES, RESIDENT = 1, slice(11, 15), 21


def read_stat(pid: int) -> list[str] | None:
    """None for a process that has just ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def read_tree(root: int) -> Iterator[list[str]]:
    """Stats of `root` and of all its descendants."""
    found = {int(path.name): read_stat(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()}
    below = {root}
    # A child may have a lower number than its parent, once the numbers have gone round.
    while more := {pid for pid, stat in found.items() if stat and int(stat[PARENT]) in below} - below:
        below |= more
    return (stat for pid in below if (stat := found.get(pid)))


def read_cpu(root: int) -> float:
    """Seconds in user and system mode, those of children that have ended included."""
    return sum(int(ticks) for stat in read_tree(root) for ticks in stat[TIMES]) / TICK


def read_memory(root: int) -> int:
    """Resident bytes."""
    return sum(int(stat[RESIDENT]) for stat in read_tree(root)) * PAGE


def wait_until_idle(*roots: int, patience: float = 20) -> None:
    """Until the requests that a round left behind are done, or the next contestant would pay for them."""
    end = time.monotonic() + patience
    before = -1.0
    while (now := sum(read_cpu(root) for root in roots)) > before + 0.01 and time.monotonic() < end:
        before = now
        time.sleep(0.2)  # the distance of two looks
