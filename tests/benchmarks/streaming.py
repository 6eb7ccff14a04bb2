r"""Whole tables out, beside `psql \copy` of the very SELECT that ours sends and beside what projects write by hand.

A round reads an export to its end, in turn with the others; rows a second count. The hand-written ones export the
first PEER_ROWS rows, since a million takes them minutes. `python -m tests.benchmarks.streaming` prints the two SELECTs.
"""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from itertools import islice
from threading import Event, Thread
from typing import Any

import django

from tests.benchmarks.agreement import check_rows, normalise
from tests.benchmarks.contestants import PAGE, ROOT, Server, build_environment
from tests.benchmarks.load import Load, run_wrk
from tests.benchmarks.measure import Sample, Samples, make_sample
from tests.benchmarks.processes import read_cpu, read_peak, wait_until_idle

# Addresses are left out by all, as in the pages.
QUERY = "omit=images_url,variants_url,url"
CSV, NDJSON = (f"/api/v1/exports/products.{suffix}?{QUERY}" for suffix in ("csv", "ndjson"))
PEER_ROWS = 50_000
PEER, PEER_OBJECTS = (f"/{name}.csv?upto={PEER_ROWS}" for name in ("export", "objects"))
BEYOND = "&after=900000000000"

CSV_STREAM, NDJSON_STREAM = "CSV stream", "NDJSON stream"
CSV_PSQL, NDJSON_PSQL = "psql \\copy, CSV", "psql \\copy, JSON"
CSV_DRF = "DRF + csv.writer over .iterator()"
CSV_OBJECTS, CSV_COLUMNS = "FastAPI, SQLAlchemy's mapped objects", "FastAPI, SQLAlchemy's bare columns"
FIRST_BYTE, FIRST_EMPTY = "first byte of an export", "first byte of an empty export"
API_BESIDE, API_ALONE = "API beside two exports", "API alone"

READ_BYTES = 1024 * 1024
# Holds more rows than are compared.
BEGIN_BYTES = 256 * 1024
# Rows that are compared.
AGREED = 200


@dataclass(frozen=True)
class Received:
    """What an export took: seconds to its first byte and to its end, and the beginning of it."""

    first: float
    seconds: float
    begin: bytes
    lines: int


class Reader:
    """Reads exports of one server with a token that may."""

    def __init__(self, server: Server, token: str = "") -> None:
        self.server = server
        self.headers = {"Authorization": f"Token {token}"} if token else {}

    def read(self, path: str, stop: Event | None = None) -> Received:
        began = time.perf_counter()
        with closing(HTTPConnection("127.0.0.1", self.server.port, timeout=600)) as connection:
            connection.request("GET", path, headers=self.headers)
            answer = connection.getresponse()
            begin = answer.read(1)
            assert answer.status == 200, begin + answer.read()
            first, lines = time.perf_counter() - began, 0
            while (block := answer.read1(READ_BYTES)) and not (stop and stop.is_set()):
                lines += block.count(b"\n")
                begin += block if len(begin) < BEGIN_BYTES else b""
        return Received(first, time.perf_counter() - began, begin, lines)


@dataclass(frozen=True)
class Copied:
    r"""`psql \copy` of a SELECT to /dev/null."""

    database: str
    sql: str
    options: str

    def read(self) -> None:
        psql = shutil.which("psql")
        assert psql, "psql comes with PostgreSQL's client"
        copy = f"\\copy ({' '.join(self.sql.split())}) to /dev/null {self.options}"
        subprocess.run([psql, self.database, "-qc", copy], check=True)


# -- rates --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Export:
    """A contestant: what it does in a round, how many rows that is, and whose CPU it takes."""

    name: str
    run: Callable[[], object]
    rows: int
    roots: Sequence[int] = ()


def measure_exports(exports: Sequence[Export], rounds: int, postgres: int, say: Callable[[str], None]) -> Samples:
    """A round of each to warm up, which counts for nothing, then the rounds."""
    samples: Samples = {export.name: [] for export in exports}
    for number in range(rounds + 1):
        for export in exports:
            say(f"exporting, round {number} of {rounds}: {export.name}")
            sample = run_round(export, postgres)
            samples[export.name] += [sample] if number else []
    return samples


def run_round(export: Export, postgres: int) -> Sample:
    before, before_postgres = [read_cpu(root) for root in export.roots], read_cpu(postgres)
    began = time.perf_counter()
    export.run()
    seconds = time.perf_counter() - began
    server = sum(read_cpu(root) - was for root, was in zip(export.roots, before, strict=True))
    database = read_cpu(postgres) - before_postgres
    wait_until_idle(*export.roots, postgres)
    return make_sample(Load(export.rows, seconds, 1000 * seconds), server, database)


def list_exports(reader: Reader, database: str, rows: int, servers: dict[str, Server]) -> list[Export]:
    statements, ours = write_statements(database), [reader.server.process.pid]
    found = [
        Export(CSV_STREAM, partial(reader.read, CSV), rows, ours),
        Export(CSV_PSQL, Copied(database, statements["csv"], "csv").read, rows),
        Export(NDJSON_STREAM, partial(reader.read, NDJSON), rows, ours),
        Export(NDJSON_PSQL, Copied(database, statements["ndjson"], "").read, rows),
    ]
    for name, server, path in list_peers(servers):
        found.append(Export(name, partial(Reader(server).read, path), min(rows, PEER_ROWS), [server.process.pid]))
    return found


def list_peers(servers: dict[str, Server]) -> list[tuple[str, Server, str]]:
    peers = ((CSV_DRF, "shop", PEER), (CSV_OBJECTS, "fastapi", PEER_OBJECTS), (CSV_COLUMNS, "fastapi", PEER))
    return [(name, servers[key], path) for name, key, path in peers if key in servers]


# -- agreement ----------------------------------------------------------------------------------------------------


def check_exports(reader: Reader, servers: dict[str, Server], rows: int) -> None:
    """All give the same rows, and ours all of them."""
    whole = reader.read(CSV)
    assert whole.lines == rows + 1, f"{whole.lines - 1} rows of {rows}"
    # The others show slugs only; ours are behind the names and paths, which are a join more.
    named = read_cells(whole.begin)
    expected = [row | {name: row[f"{name}_slug"] for name in ("brand", "category")} for row in named]
    expected = [{name: row[name] for name in row if not name.endswith("_slug")} for row in expected]
    for name, server, path in list_peers(servers):
        received = Reader(server).read(path)
        assert received.lines == min(rows, PEER_ROWS) + 1, f"{name}: {received.lines - 1} rows"
        check_rows(name, read_cells(received.begin), expected)


def read_cells(begin: bytes) -> list[Any]:
    rows = csv.DictReader(io.StringIO(begin.decode(errors="ignore"), newline=""))
    # What was read ends within a row.
    return [normalise(row | {"attributes": json.loads(row["attributes"])}) for row in islice(rows, AGREED)]


# -- first byte, memory, and the API beside it --------------------------------------------------------------------


def measure_first_bytes(reader: Reader, rounds: int, postgres: int) -> Samples:
    samples: Samples = {FIRST_BYTE: [], FIRST_EMPTY: []}
    roots = [reader.server.process.pid]
    for _ in range(rounds):
        for name, path in ((FIRST_BYTE, CSV), (FIRST_EMPTY, CSV + BEYOND)):
            stop = Event()
            stop.set()  # whoever has seen the first byte leaves
            seconds = reader.read(path, stop).first
            wait_until_idle(*roots, postgres)
            samples[name].append(make_sample(Load(1, seconds, 1000 * seconds), 0, 0))
    return samples


def measure_peak(reader: Reader) -> int:
    """Of a new server that sent the table in both formats, twice."""
    for path in (CSV, NDJSON) * 2:
        reader.read(path)
    return read_peak(reader.server.process.pid)


@contextmanager
def exporting(reader: Reader, number: int) -> Iterator[None]:
    """While the block runs so many clients read one export after the other."""
    stop = Event()

    def read_on() -> None:
        while not stop.is_set():
            reader.read(CSV, stop)

    threads = [Thread(target=read_on) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def measure_beside(reader: Reader, rounds: int, seconds: float, postgres: int) -> Samples:
    """The answer times of the API to one client, alone and beside two exports, in turn."""
    samples: Samples = {API_ALONE: [], API_BESIDE: []}
    for _ in range(rounds):
        samples[API_ALONE].append(ask_api(reader.server, seconds))
        with exporting(reader, 2):
            samples[API_BESIDE].append(ask_api(reader.server, seconds))
        wait_until_idle(reader.server.process.pid, postgres)
    return samples


def ask_api(server: Server, seconds: float) -> Sample:
    return make_sample(run_wrk(server.url(PAGE), seconds, 1, {"Accept": "application/json"}), 0, 0)


# -- our own SELECTs ----------------------------------------------------------------------------------------------


def write_statements(database: str) -> dict[str, str]:
    command = [sys.executable, "-m", "tests.benchmarks.streaming"]
    environment = os.environ | build_environment(database)
    output = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, str] = json.loads(output)
    return found


def print_statements() -> None:
    """The SELECT of each format, over the whole table in one go, compiled column by column."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    import psycopg
    from django.db import connection
    from django.http import QueryDict

    from config.api.database.statements import choose_compiled
    from exports.management.commands.export import OPERATOR
    from exports.rows.cells import Cells
    from exports.rows.chunks import compile_sql, make_query, select_cells, select_json

    connection.ensure_connection()
    cursor = psycopg.ClientCursor(connection.connection)
    found = {}
    for name in ("csv", "ndjson"):
        query = make_query("products", OPERATOR, QueryDict(QUERY), name)
        plain = query.rows.using("default").order_by("pk")
        is_csv = name == "csv"
        rows = select_cells(query, plain, Cells()) if is_csv else select_json(query, plain).values_list("row_json")
        found[name] = cursor.mogrify(*compile_sql(choose_compiled(rows)))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    print_statements()
