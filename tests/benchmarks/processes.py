"""A process in, the CPU time and memory of it and everything below it out (Linux: from /proc)."""

import os
import time
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


def read_tree(root: int) -> dict[int, list[str]]:
    """Stats of `root` and of all its descendants, by process."""
    found = {int(path.name): read_stat(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()}
    below = {root}
    # A child may have a lower number than its parent, once the numbers have gone round.
    while more := {pid for pid, stat in found.items() if stat and int(stat[PARENT]) in below} - below:
        below |= more
    return {pid: stat for pid in below if (stat := found.get(pid))}


def read_cpu(root: int) -> float:
    """Seconds in user and system mode, those of children that have ended included."""
    return sum(int(ticks) for stat in read_tree(root).values() for ticks in stat[TIMES]) / TICK


def read_memory(root: int) -> int:
    """Resident bytes."""
    return sum(int(stat[RESIDENT]) for stat in read_tree(root).values()) * PAGE


def read_peak(root: int) -> int:
    """The sum of the greatest resident bytes that each of them has had."""
    return sum(read_high_water(pid) for pid in read_tree(root))


def read_high_water(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # "VmHWM:     1234 kB"
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM")), 0)


def wait_until_idle(*roots: int, patience: float = 20) -> None:
    """Until the requests that a round left behind are done, or the next contestant would pay for them."""
    end = time.monotonic() + patience
    before = -1.0
    while (now := sum(read_cpu(root) for root in roots)) > before + 0.01 and time.monotonic() < end:
        before = now
        time.sleep(0.2)  # the distance of two looks
