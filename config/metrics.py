"""Counts events of this process in plain dicts, one for each thread, and writes the sums to a file for /metrics.

A request takes 0.5 microseconds and an event 0.2 (a counter of prometheus-client takes 9.1). Once a second a process
writes its sums into one file in METRICS_FOLDER, by rename. config/operation/scrape.py adds up the files. So a killed
process loses only the counts of its last second. prometheus-client's own way for several processes maps files into
memory; there a full disk is a SIGBUS instead of an error.

This module doesn't import Django, so that logs and all packages can use it.
"""

import fcntl
import os
import secrets
import threading
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.util import Finalize
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import NamedTuple

import orjson

# A key is a name and the values of its labels. Counts have a list of numbers for each key, gauges one number.
type Key = tuple[str | int, ...]
type Counts = dict[Key, list[float]]
type Gauges = dict[Key, float]

# Upper bounds in seconds. A cached answer takes 0.1 ms, a page of 50 one or two ms, an export minutes.
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# The numbers of a request: seconds, queries, seconds in the database; then the count of each bucket. The last bucket
# has no bound.
REQUEST = "request"
FIRST_BUCKET = 3
REQUEST_NUMBERS = FIRST_BUCKET + len(BUCKETS) + 1
# Other methods count as OTHER: clients can invent methods, and each would stay in memory.
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

WRITE_SECONDS = 1.0


class Family(NamedTuple):
    """A metric: its description, and the names of its labels."""

    sentence: str
    labels: tuple[str, ...] = ()


# The metrics that apps have registered, by name.
EVENTS: dict[str, Family] = {}
GAUGES: dict[str, Family] = {}


def register_events(events: Mapping[str, Family]) -> None:
    """Register events for `count(name, *labels)`. /metrics shows `tenfold_<name>_total`."""
    EVENTS.update(events)


class Owner:
    """An object that lives as long as its thread: a weak reference to it tells when the thread has ended."""


class Tables:
    """The tables of all threads. Those of ended threads are added up in `past`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.living: list[tuple[weakref.ref[Owner], Counts]] = []
        self.past: Counts = {}

    def open(self, owner: Owner) -> Counts:
        table: Counts = {}
        with self.lock:
            self.living.append((weakref.ref(owner), table))
        return table

    def add_up(self) -> Counts:
        """The sums of what all threads have counted."""
        with self.lock:
            ended = [entry for entry in self.living if entry[0]() is None]
            self.living = [entry for entry in self.living if entry not in ended]
            add_to(self.past, *(table for _, table in ended))
            # copy() is atomic, since the threads go on counting.
            return add_to({}, self.past, *(table.copy() for _, table in self.living))


TABLES = Tables()


class Own(threading.local):
    """The current thread's table. In one table for all, two threads could lose each other's increments."""

    def __init__(self) -> None:
        self.owner = Owner()
        self.table = TABLES.open(self.owner)


OWN = Own()


def count_request(  # noqa: PLR0913, PLR0917 (gathered in an object they would cost as much again)
    method: str, route: str, status: int, cache: str, seconds: float, queries: int, database_seconds: float
) -> None:
    """Count one answer. `route` is the URL pattern, not the path, since there are too many paths."""
    key = (REQUEST, method if method in METHODS else "OTHER", route, status, cache)
    table = OWN.table
    row = table.get(key)
    if row is None:
        row = table[key] = [0.0] * REQUEST_NUMBERS
    row[0] += seconds
    row[1] += queries
    row[2] += database_seconds
    row[FIRST_BUCKET + bisect_left(BUCKETS, seconds)] += 1


def count(name: str, *labels: str, amount: float = 1) -> None:
    """Count a registered event."""
    key = (name, *labels)
    table = OWN.table
    row = table.get(key)
    if row is None:
        row = table[key] = [0.0]
    row[0] += amount


def count_all(*labels: str, **amounts: float) -> None:
    """Count several events with the same labels: `amounts` by event name."""
    for name, amount in amounts.items():
        count(name, *labels, amount=amount)


def read_count(name: str, *labels: str) -> float:
    """The count of an event in this process."""
    return TABLES.add_up().get((name, *labels), [0.0])[0]


def add_to(sums: Counts, *tables: Mapping[Key, Iterable[float]]) -> Counts:
    for table in tables:
        for key, row in table.items():
            before = sums.get(key)
            sums[key] = [a + b for a, b in zip(before, row, strict=True)] if before else list(row)
    return sums


# -- the figures of one process, and of all -----------------------------------------------------------------------

# Functions that read gauges: of this process, called when it writes its file; of the database, called at a scrape.
WATCHED: list[Callable[[], Gauges]] = []
ASKED: list[Callable[[], Gauges]] = []


def register_process_gauges(read: Callable[[], Gauges], gauges: Mapping[str, Family]) -> None:
    """Register gauges of a process, such as connections in use. /metrics shows the sum over all processes."""
    GAUGES.update(gauges)
    if read not in WATCHED:
        WATCHED.append(read)


def register_database_gauges(read: Callable[[], Gauges], gauges: Mapping[str, Family]) -> None:
    """Register gauges of the installation. `read` runs a short query at each scrape."""
    GAUGES.update(gauges)
    if read not in ASKED:
        ASKED.append(read)


@dataclass
class Figures:
    """Counts of all processes that ever ran, and gauges of living ones."""

    counts: Counts = field(default_factory=dict)
    gauges: Gauges = field(default_factory=dict)
    processes: int = 0

    def add(self, other: "Figures") -> None:
        add_to(self.counts, other.counts)
        self.processes += other.processes
        for key, value in other.gauges.items():
            self.gauges[key] = self.gauges.get(key, 0) + value

    def dump(self) -> bytes:
        return orjson.dumps([list(self.counts.items()), list(self.gauges.items())])

    @classmethod
    def load(cls, text: bytes) -> "Figures":
        counts, gauges = orjson.loads(text)
        return cls({tuple(key): row for key, row in counts}, {tuple(key): value for key, value in gauges}, 1)


def read_own() -> Figures:
    # The gauges first: reading them may count events.
    gauges = {key: value for watch in WATCHED for key, value in watch().items()}
    return Figures(TABLES.add_up(), gauges, 1)


def read_everybody() -> Figures:
    """The figures of all processes: of this one now, of the others up to a second ago."""
    if LEDGER is None:
        return read_own()
    with LEDGER.hold_folder(fcntl.LOCK_SH):
        figures = read_own()
        for path in LEDGER.list_others():
            figures.add(read_file(path))
    return figures


def read_file(path: Path) -> Figures:
    """The figures in a process's file. If the process is dead, only its counts."""
    figures = Figures.load(path.read_bytes())
    if not is_held(path.with_suffix(".lock")):
        figures.gauges, figures.processes = {}, 0
    return figures


def is_held(path: Path) -> bool:
    """Whether the process that locked `path` still lives. (The kernel frees the lock of a killed one too.)"""
    with suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Ledger(threading.Thread):
    """Writes this process's figures into its file once a second, and at its end."""

    def __init__(self, folder: Path) -> None:
        super().__init__(name="metrics", daemon=True)
        self.path = folder / f"{secrets.token_hex(8)}.json"
        self.lock = self.path.with_suffix(".lock").open("wb")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.done = threading.Event()
        self.writing = threading.Lock()
        self.written = b""

    def list_others(self) -> list[Path]:
        return [path for path in self.path.parent.glob("*.json") if path != self.path]

    @contextmanager
    def hold_folder(self, how: int) -> Iterator[None]:
        with (self.path.parent / "folder.lock").open("wb") as file:
            fcntl.flock(file, how)
            yield

    def run(self) -> None:
        self.take_over_dead()
        while not self.done.wait(WRITE_SECONDS):
            self.write()

    def take_over_dead(self) -> None:
        """Add the counts of dead processes to ours, and delete their files. A lock makes this one step for readers."""
        with self.hold_folder(fcntl.LOCK_EX):
            dead = [path for path in self.list_others() if not is_held(path.with_suffix(".lock"))]
            with TABLES.lock:
                add_to(TABLES.past, *(read_file(path).counts for path in dead))
            self.write()
            for path in dead:
                path.unlink()
                path.with_suffix(".lock").unlink(missing_ok=True)

    def write(self) -> None:
        text, new = read_own().dump(), self.path.with_suffix(".new")
        # With a full disk the file keeps older figures. The next write has all counts again.
        with self.writing, suppress(OSError):
            if text != self.written:
                new.write_bytes(text)
                new.rename(self.path)
                self.written = text

    def close(self) -> None:
        self.done.set()
        self.write()
        self.lock.close()


LEDGER: Ledger | None = None


def start_ledger() -> None:
    """If METRICS_FOLDER is set, write this process's figures there until its exit."""
    global LEDGER  # noqa: PLW0603 (one a process, as its tables are)
    if LEDGER is None and (folder := os.environ.get("METRICS_FOLDER")):
        LEDGER = Ledger(Path(folder))
        LEDGER.start()
        # Not atexit: see config.logs.
        Finalize(None, close_ledger, exitpriority=0)


def close_ledger() -> None:
    if LEDGER:
        LEDGER.close()


@contextmanager
def open_folder() -> Iterator[None]:
    """In this block METRICS_FOLDER is set for all processes of the server: to its value, or to a new folder."""
    if folder := os.environ.get("METRICS_FOLDER"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        yield
        return
    os.environ["METRICS_FOLDER"] = folder = mkdtemp(prefix="tenfold-metrics-")
    try:
        yield
    finally:
        del os.environ["METRICS_FOLDER"]
        rmtree(folder, ignore_errors=True)


def begin_anew() -> None:
    """In a fork: begin with empty tables, since the counts and the file are the parent's."""
    global TABLES, OWN, LEDGER  # noqa: PLW0603
    if LEDGER:
        LEDGER.lock.close()
    TABLES, LEDGER = Tables(), None
    OWN = Own()


os.register_at_fork(after_in_child=begin_anew)
