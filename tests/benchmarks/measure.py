"""Targets in, samples out: rounds go A B C A B C, so that a busy machine slows all alike."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from types import MappingProxyType

from tests.benchmarks.contestants import THREADS, Pgbench, Server
from tests.benchmarks.load import Load, TooSlow
from tests.benchmarks.processes import read_cpu, read_memory, wait_until_idle

# Twice as many as a server has threads, so that none ever waits for work.
CONNECTIONS = 2 * THREADS

# Answers in a round, several times those under way at its end, for which no answer is counted; and its longest.
ENOUGH, MOST_SECONDS = 40, 12.0

JSON = MappingProxyType({"Accept": "application/json"})


@dataclass(frozen=True)
class Target:
    name: str
    server: Server | Pgbench
    path: str
    headers: Mapping[str, str] = JSON


@dataclass(frozen=True)
class Sample:
    """One round: requests a second, the middle answer's time, CPU a request of server and PostgreSQL, milliseconds.

    `tail_ms` is the time of the 99th answer of a hundred.
    """

    rate: float
    median_ms: float
    server_ms: float
    postgres_ms: float
    tail_ms: float = 0.0


type Samples = dict[str, list[Sample]]


@dataclass(frozen=True)
class Plan:
    """How long and how hard."""

    rounds: int
    seconds: float
    connections: int


def run_rounds(targets: Sequence[Target], plan: Plan, postgres: int, say: Callable[[str], None]) -> Samples:
    """A round of each to warm up, which counts for nothing, then the rounds; `postgres` is its process."""
    samples: Samples = {target.name: [] for target in targets}
    seconds = {}
    for target in targets:
        say(f"warming up {target.name}")
        seconds[target.name] = max(plan.seconds, find_seconds(target, plan, postgres))
    for number in range(1, plan.rounds + 1):
        for target in targets:
            say(f"round {number} of {plan.rounds}: {target.name}")
            samples[target.name].append(run_round(target, seconds[target.name], plan.connections, postgres))
    return samples


def find_seconds(target: Target, plan: Plan, postgres: int) -> float:
    """How long a round must be to hold ENOUGH answers; the slowest take seconds for one."""
    seconds = 1.0
    while seconds < MOST_SECONDS:
        with suppress(TooSlow):
            return min(MOST_SECONDS, ENOUGH / run_round(target, seconds, plan.connections, postgres).rate)
        seconds *= 3
    return seconds


def run_round(target: Target, seconds: float, connections: int, postgres: int) -> Sample:
    roots = [process.pid for process in (target.server.process,) if process]
    before, before_postgres = [read_cpu(root) for root in roots], read_cpu(postgres)
    load = target.server.load(target.path, seconds, connections, target.headers)
    server = sum(read_cpu(root) - was for root, was in zip(roots, before, strict=True))
    database = read_cpu(postgres) - before_postgres
    wait_until_idle(*roots, postgres)
    return make_sample(load, server, database)


def make_sample(load: Load, server: float, database: float) -> Sample:
    return Sample(
        load.rate,
        load.median_ms,
        server_ms=1000 * server / load.requests,
        postgres_ms=1000 * database / load.requests,
        tail_ms=load.tail_ms,
    )


def measure_memory(server: Server, path: str, numbers: tuple[int, int], say: Callable[[str], None]) -> tuple[int, int]:
    """Bytes of a new server after the first number of requests and after at least the second."""
    first, last = numbers
    say(f"memory after {first} requests")
    send_requests(server, path, first)
    before, sent = read_memory(server.process.pid), first
    while sent < last:
        say(f"memory after {last} requests: {sent} so far")
        sent += server.load(path, 3, CONNECTIONS, JSON).requests
    return before, read_memory(server.process.pid)


def send_requests(server: Server, path: str, number: int) -> None:
    """Over several connections at once, so that every thread of the server has had its share."""
    connections = [HTTPConnection("127.0.0.1", server.port, timeout=30) for _ in range(CONNECTIONS)]
    for start in range(0, number, CONNECTIONS):
        batch = connections[: number - start]
        for connection in batch:
            connection.request("GET", path)
        for connection in batch:
            connection.getresponse().read()
    for connection in connections:
        connection.close()
