"""`make bench`: services, seed, servers, agreement, rounds, report, in this order.

Everything runs on this machine, on free ports of the loopback address, and ends with the program.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from rich.console import Console

from tests.benchmarks.agreement import check_admin, check_rows, read_rows
from tests.benchmarks.caching import OURS, list_targets, write_answers
from tests.benchmarks.chart import draw_chart
from tests.benchmarks.contestants import (
    ADMIN,
    BROWSABLE,
    CONTESTANTS,
    DETAIL,
    DETAILS,
    PAGE,
    PEERS,
    PGBENCH,
    ROOT,
    Contestant,
    Pgbench,
    Server,
    build_environment,
)
from tests.benchmarks.figures import DISK, GROWTH, MEMORY, Promise, compare_all
from tests.benchmarks.finding import find_slowest, measure_derived, prepare
from tests.benchmarks.finding import list_targets as list_found
from tests.benchmarks.load import list_missing
from tests.benchmarks.measure import CONNECTIONS, Plan, Samples, Target, measure_memory, run_rounds
from tests.benchmarks.report import (
    PROMISED_ROWS,
    build_document,
    print_contestants,
    print_figures,
    print_memory,
    print_others,
    spread,
    write_document,
)
from tests.benchmarks.seed import describe_lack, find_deep_row, make_database
from tests.benchmarks.storing import WITH, WITHOUT, Side, drop_stored, list_pages, measure_storing
from tests.benchmarks.streaming import (
    Reader,
    check_exports,
    list_exports,
    measure_beside,
    measure_exports,
    measure_first_bytes,
    measure_peak,
)
from tests.benchmarks.watching import PLAIN, SILENT, SlowPipe
from tests.benchmarks.writing import WritePlan, Writer, make_token, measure_writes
from tests.services import PostgresServer, RedisServer

# What a small production server sets; the tests' own fsync=off changes no read.
POSTGRES_OPTIONS = ("shared_buffers=1GB", "max_wal_size=8GB", "autovacuum=off")


GROUPS = ("reads", "stored", "hits", "watching", "memory", "exports", "finding", "writes")


type Sizes = dict[Promise, tuple[int, int]]


@dataclass(frozen=True)
class Options:
    rows: tuple[int, ...]
    rounds: int
    seconds: float
    requests: int
    singles: int
    only: tuple[str, ...]
    groups: tuple[str, ...]
    json: Path | None
    chart: Path | None
    strict: bool
    keep: bool

    @property
    def peer_rows(self) -> int:
        """How many rows the peers read: those that count take seconds a page at many more."""
        return PROMISED_ROWS if PROMISED_ROWS in self.rows else self.rows[-1]

    @property
    def contestants(self) -> list[Contestant]:
        return [one for one in CONTESTANTS if not self.only or one.server in {"tenfold", PGBENCH, *self.only}]


@dataclass
class Stage:
    """Where it all runs."""

    postgres: PostgresServer
    redis: RedisServer
    folder: Path
    stack: ExitStack
    databases: dict[int, str] = field(default_factory=dict)

    def start(self, name: str, rows: int, log: IO[bytes] | None = None, **variables: str) -> Server:
        return self.start_on(self.databases[rows], name, self.folder / "statement.json", log, **variables)

    def start_on(
        self, database: str, name: str, statement: Path, log: IO[bytes] | None = None, **variables: str
    ) -> Server:
        log = log or self.stack.enter_context((self.folder / f"{name}.log").open("ab"))
        server = Server(name, database, self.redis.url, statement, log, **variables)
        self.stack.callback(server.stop)
        return server

    def start_slow(self, name: str, rows: int, **variables: str) -> Server:
        """Its output goes to a disk that takes its time."""
        pipe = SlowPipe(self.folder / f"{name}.pipe")
        server = self.start(name, rows, pipe.writer, **variables)
        # Before the server stops, which would write out all that waits.
        self.stack.callback(pipe.close)
        return server


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", default="", help="sizes of the table, as in 10000,1000000,5000000 (10000,1000000)")
    parser.add_argument("--rounds", type=int, help="rounds of each (5)")
    parser.add_argument("--seconds", type=float, help="seconds of a round (4)")
    parser.add_argument("--quick", action="store_true", help="100,000 rows and short rounds")
    parser.add_argument("--only", default="", help="servers beside ours: bare,shop,bolt,fastapi,flask (all)")
    parser.add_argument("--groups", default=",".join(GROUPS), help=f"what is measured ({','.join(GROUPS)})")
    parser.add_argument("--json", type=Path, help="write every sample to this file")
    parser.add_argument("--chart", type=Path, help="draw the requests per second into this SVG file")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a promise isn't kept")
    parser.add_argument("--keep", action="store_true", help="leave everything running until Enter, to profile it")


def read_options(parsed: argparse.Namespace) -> Options:
    quick = parsed.quick
    sizes = parsed.rows or ("10000,100000" if quick else "10000,1000000")
    return Options(
        rows=tuple(sorted({int(size) for size in sizes.split(",")})),
        rounds=parsed.rounds or (3 if quick else 5),
        seconds=parsed.seconds or (1 if quick else 4),
        requests=2_000 if quick else 10_000,
        singles=200 if quick else 1_000,
        only=tuple(name for name in parsed.only.split(",") if name),
        groups=tuple(name for name in parsed.groups.split(",") if name),
        json=parsed.json,
        chart=parsed.chart,
        strict=parsed.strict,
        keep=parsed.keep,
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description="Tenfold beside the usual ways.")
    add_arguments(parser)
    return run(read_options(parser.parse_args(arguments)))


def run(options: Options) -> int:
    """The exit code."""
    # Into a file or a pipe, wide enough for the tables.
    console = Console(width=None if sys.stdout.isatty() else 140)
    lack = describe_lack(options.rows, Path(tempfile.gettempdir()))
    if missing := list_missing(PEERS) + ([lack] if lack else []):
        console.print("\n".join(f"tenfold: {sentence}" for sentence in missing), style="red")
        return 2
    with open_stage() as stage:
        return measure(options, stage, console)


@contextmanager
def open_stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tenfold-bench-")))
        postgres = PostgresServer(*(word for option in POSTGRES_OPTIONS for word in ("-c", option)))
        stack.callback(postgres.remove)
        redis = RedisServer()
        stack.callback(redis.stop)
        yield Stage(postgres, redis, folder, stack)


def measure(options: Options, stage: Stage, console: Console) -> int:
    with console.status("seeding") as status:

        def say(text: str) -> None:
            status.update(text) if console.is_terminal else console.print(text)

        for rows in options.rows:
            stage.databases[rows] = make_database(stage.postgres.url, rows, say)
        # Before the servers, of which the bare one reads the statement.
        statement = stage.folder / "statement.json"
        ends = {options.rows[0], options.rows[-1]}
        found = {rows: probe(stage.databases[rows], rows, statement) for rows in ends}
        keys = {"fewest": found[options.rows[0]], "most": found[options.rows[-1]]}
        servers = start_servers(options, stage)
        say("checking that all give the same rows")
        check_agreement(options, servers, keys)
        samples, sizes = run_chosen(options, stage, servers, keys, say)
    if options.keep:
        input("".join(f"{name}: {server.url('/')}\n" for name, server in servers.items()) + "Enter ends it")
    return report(options, console, samples, sizes)


def run_chosen(
    options: Options, stage: Stage, servers: dict[str, Server], keys: dict[str, "Keys"], say: Callable[[str], None]
) -> tuple[Samples, Sizes]:
    samples: Samples = {}
    sizes: Sizes = {}
    token = make_token(stage.databases[options.peer_rows])
    if "reads" in options.groups:
        samples |= run_groups(options, stage, servers, keys, say)
    if "hits" in options.groups:
        samples |= run_hits(options, stage, servers, say)
    if "watching" in options.groups:
        samples |= measure_watching(options, stage, say)
    if "memory" in options.groups:
        new = stage.start("tenfold", options.rows[-1])
        before, after = measure_memory(new, PAGE, (100, options.requests), say)
        sizes[MEMORY] = after, before
    if "exports" in options.groups:
        samples |= export(options, stage, servers, Reader(servers["tenfold"], token), say)
        sizes[GROWTH] = measure_peaks(options, stage, token, say)
    # Last, since these add rows.
    if "stored" in options.groups:
        found, sizes[DISK] = run_stored(options, stage, servers["tenfold"], token, say)
        samples |= found
    writer = Writer(servers["tenfold"].port, token)
    writing = {
        "finding": lambda: run_finding(options, stage, servers, writer, say),
        "writes": lambda: run_writes(options, stage, servers["tenfold"], writer, say),
    }
    for name in sorted(writing.keys() & set(options.groups)):
        samples |= writing[name]()
    return samples, sizes


@dataclass(frozen=True)
class Keys:
    """What a database's server lets in: the cursor to the row at nine tenths of the table, an admin's cookie."""

    cursor: str
    session: str

    @property
    def admin(self) -> dict[str, str]:
        return {"Accept": "text/html", "Cookie": self.session}


def probe(database: str, rows: int, statement: Path) -> Keys:
    """Writes the statement of a page for the bare app, too."""
    place = find_deep_row(database, rows * 9 // 10)
    command = [sys.executable, "-m", "tests.benchmarks.probe", PAGE, *map(str, place)]
    environment = os.environ | build_environment(database)
    found = json.loads(subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE).stdout)
    statement.write_text(json.dumps(found["statement"]))
    return Keys(found["cursor"], found["session"])


def find_servers(options: Options) -> set[str]:
    return {one.server for one in options.contestants} - {PGBENCH}


def start_servers(options: Options, stage: Stage) -> dict[str, Server]:
    servers = {name: stage.start(name, options.peer_rows) for name in find_servers(options)}
    servers["most"] = servers["tenfold"]
    if options.rows[-1] != options.peer_rows:
        servers["most"] = stage.start("tenfold", options.rows[-1])
    return servers | {"fewest": stage.start("tenfold", options.rows[0])}


def check_agreement(options: Options, servers: dict[str, Server], keys: dict[str, Keys]) -> None:
    expected = read_rows(servers["tenfold"].fetch(PAGE))
    for one in options.contestants:
        if one.server == PGBENCH:
            continue  # it runs what our server was seen to send, and throws the rows away
        check_rows(one.name, read_rows(servers[one.server].fetch(one.path)), expected)
    for name, key in keys.items():
        servers[name].fetch(PAGE)
        for path, mark in ADMIN.values():
            check_admin(servers[name].fetch(path, headers=key.admin), mark)
    detail = read_rows(servers["tenfold"].fetch(DETAIL))
    for name, server, path in DETAILS:
        if server in servers:
            check_rows(name, read_rows(servers[server].fetch(path)), detail)


def run_groups(
    options: Options, stage: Stage, servers: dict[str, Server], keys: dict[str, Keys], say: object
) -> Samples:
    """Each group's targets take turns among themselves; times are taken with one connection, rates with many."""
    long = Plan(options.rounds, options.seconds, CONNECTIONS)
    # Many short rounds: a ratio near 1 is read off, so both sides should have met the same noise.
    short = Plan(2 * options.rounds, max(1, options.seconds / 4), 1)
    ours, fewest, most = (servers[name] for name in ("tenfold", "fewest", "most"))
    html = {"Accept": "text/html"}
    pgbench = Pgbench(stage.databases[options.peer_rows], stage.folder / "statement.json")
    pages = [Target(one.name, servers.get(one.server, pgbench), one.path) for one in options.contestants]
    times = [
        Target("first page", most, PAGE),
        Target("deep page", most, f"{PAGE}&cursor={keys['most'].cursor}"),
        Target("fewest rows", fewest, PAGE),
        Target("count=none", most, f"{PAGE}&page=1&count=none"),
        Target("count=bounded", most, f"{PAGE}&page=1&count=bounded"),
        Target("browsable", most, BROWSABLE, html),
        Target("browsable, fewest", fewest, BROWSABLE, html),
        *list_admin(most, "", keys["most"]),
        *list_admin(fewest, ", fewest", keys["fewest"]),
    ]
    rates = [
        Target("all fields", ours, PAGE),
        Target("fields=id,title", ours, "/api/v1/products/?fields=id,title&page_size=50"),
        Target("detail", ours, DETAIL),
        *(Target(name, servers[server], path) for name, server, path in DETAILS if server in servers),
    ]
    groups = ((pages, long), (times, short), (rates, Plan(options.rounds, max(1, options.seconds / 2), CONNECTIONS)))
    samples: Samples = {}
    for targets, plan in groups:
        samples |= run_rounds(targets, plan, stage.postgres.process.pid, say)
    return samples


def list_admin(server: Server, end: str, keys: Keys) -> list[Target]:
    return [Target(f"admin, {page}{end}", server, path, keys.admin) for page, (path, _) in ADMIN.items()]


def run_stored(
    options: Options, stage: Stage, ours: Server, token: str, say: Callable[[str], None]
) -> tuple[Samples, tuple[int, int]]:
    """Rates and rows a second, and the bytes of the tables: with stored rows, and without."""
    rows, statement = options.peer_rows, stage.folder / "compiled.json"
    database = make_database(stage.postgres.url, rows, say, "_compiled", drop_stored)
    probe(database, rows, statement)
    compiled, bare = (stage.start_on(database, name, statement) for name in ("tenfold", "bare"))
    plain = Side(WITHOUT, database, compiled, Writer(compiled.port, make_token(database)))
    sides = [Side(WITH, stage.databases[rows], ours, Writer(ours.port, token)), plain]
    disk = sides[0].read_disk(), sides[1].read_disk()
    plan, postgres = Plan(options.rounds, options.seconds, CONNECTIONS), stage.postgres.process.pid
    samples = run_rounds(list_pages(ours, compiled, bare), plan, postgres, say)
    return samples | measure_storing(sides, options.rounds, postgres, say), disk


def measure_watching(options: Options, stage: Stage, say: Callable[[str], None]) -> Samples:
    """Ours as it is beside itself without log lines and metrics; and with a disk that is slow to take the lines."""
    rows, lines = options.peer_rows, {"LOG_LEVEL": "INFO"}
    watched = stage.start("tenfold", rows, **lines)
    rates = [
        Target("watched", watched, PAGE),
        Target("unwatched", stage.start(SILENT, rows), PAGE),
        Target("watched, cached", stage.start("tenfold", rows, **lines, CACHE="on"), PAGE),
        Target("unwatched, cached", stage.start(SILENT, rows, CACHE="on"), PAGE),
    ]
    tails = [
        Target("fast disk", watched, PAGE),
        Target("slow disk", stage.start_slow("tenfold", rows, **lines), PAGE),
        Target("slow disk, plain handler", stage.start_slow(PLAIN, rows, **lines), PAGE),
    ]
    # Ratios near 1 again: twice the rounds.
    samples = run_rounds(rates, Plan(2 * options.rounds, options.seconds, CONNECTIONS), stage.postgres.process.pid, say)
    return samples | run_rounds(tails, Plan(options.rounds, options.seconds, 2), stage.postgres.process.pid, say)


def run_hits(options: Options, stage: Stage, servers: dict[str, Server], say: Callable[[str], None]) -> Samples:
    """By servers of their own: those of the other groups keep nothing."""
    ours = {name: stage.start(server, options.peer_rows, **more) for name, (server, more) in OURS.items()}
    etag = write_answers(ours["hits"], stage.folder / "answers.json")
    everyone = servers | ours | {"answers": stage.start("answers", options.peer_rows)}
    plan = Plan(options.rounds, max(1, options.seconds / 2), CONNECTIONS)
    return run_rounds(list_targets(everyone, etag), plan, stage.postgres.process.pid, say)


def run_finding(
    options: Options, stage: Stage, servers: dict[str, Server], writer: Writer, say: Callable[[str], None]
) -> Samples:
    """Facets, searches and combinations of filters; then writes with what is derived for them, and without."""
    for database in stage.databases.values():
        prepare(database, say)
    plan = Plan(options.rounds, max(1, options.seconds / 4), 1)
    samples = run_rounds(list_found(servers | start_planned(options, stage)), plan, stage.postgres.process.pid, say)
    roots = (servers["tenfold"].process.pid, stage.postgres.process.pid)
    say("writing with tallies and without")
    written = measure_derived(stage.databases[options.peer_rows], writer, WritePlan(3 * options.rounds, 0), roots)
    return samples | find_slowest(samples) | written


def start_planned(options: Options, stage: Stage) -> dict[str, Server]:
    """Ours, which keep plans as usual, but no answers.

    A plan of filters holds what it found, such as categories. CACHE=off makes such a plan anew for each request.
    """
    rows = {"tenfold": options.peer_rows, "most": options.rows[-1], "fewest": options.rows[0]}
    nowhere = {"CACHE": "on", "CACHE_MEMORY_BYTES": "0", "REDIS_URL": ""}
    return {name: stage.start("tenfold", number, **nowhere) for name, number in rows.items()}


def run_writes(options: Options, stage: Stage, server: Server, writer: Writer, say: Callable[[str], None]) -> Samples:
    roots = (server.process.pid, stage.postgres.process.pid)
    return measure_writes(writer, WritePlan(options.rounds, options.singles), roots, say)


def export(
    options: Options, stage: Stage, servers: dict[str, Server], reader: Reader, say: Callable[[str], None]
) -> Samples:
    """Whole tables: rows a second beside others, the first byte, and the API meanwhile."""
    postgres, rows = stage.postgres.process.pid, options.peer_rows
    say("checking that all export the same rows")
    check_exports(reader, servers, rows)
    exports = list_exports(reader, stage.databases[rows], rows, servers)
    samples = measure_exports(exports, options.rounds, postgres, say)
    samples |= measure_first_bytes(reader, 2 * options.rounds, postgres)
    say("the API beside two exports")
    return samples | measure_beside(reader, options.rounds, options.seconds, postgres)


def measure_peaks(options: Options, stage: Stage, token: str, say: Callable[[str], None]) -> tuple[int, int]:
    """Bytes of a new server each, at most and at fewest rows."""
    found = []
    for rows in (options.rows[-1], options.rows[0]):
        say(f"memory of exports of {rows:,} rows")
        mine = token if rows == options.peer_rows else make_token(stage.databases[rows])
        found.append(measure_peak(Reader(stage.start("tenfold", rows), mine)))
    return found[0], found[1]


def report(options: Options, console: Console, samples: Samples, sizes: Sizes) -> int:
    figures = compare_all(samples, sizes)
    names = [one.name for one in options.contestants]
    title = f"A page of 50 with brand, category and images, {options.peer_rows:,} products"
    if "reads" in options.groups:
        heading = f"{title}: median (min-max) of {options.rounds} rounds"
        print_contestants(console, options.contestants, samples, heading)
    print_others(console, [name for name in samples if name not in names], samples)
    if MEMORY in sizes:
        print_memory(console, sizes[MEMORY], options.requests)
    print_figures(console, figures, options.rows, options.peer_rows)
    if options.json:
        write_document(options.json, build_document(options.rows, options.peer_rows, samples, figures))
    if options.chart and "reads" in options.groups:
        rates = [(name, spread(samples[name], "rate").median) for name in names]
        options.chart.write_text(draw_chart(rates, f"{title}: requests per second, logarithmic"))
    return 1 if options.strict and not all(figure.is_kept for figure in figures) else 0
