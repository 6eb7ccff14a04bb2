"""What stored rows give and cost: our server beside itself, on the same products without them.

The second database is as before the migration that stores rows. Its tables have neither the columns nor the triggers,
so the server reads them compiled column by column.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import psycopg

from tests.benchmarks.contestants import PAGE, ROOT, Server, build_environment
from tests.benchmarks.importing import write_file
from tests.benchmarks.measure import Samples, Target
from tests.benchmarks.writing import BULK, MANY, PRICES, Writer, run_round

STORED, COMPILED = "stored rows", "compiled rows"
FIELDS_STORED, FIELDS_COMPILED = "fields=id,title, stored rows", "fields=id,title, compiled rows"
FIELDS = "/api/v1/products/?fields=id,title&page_size=50"
BARE = "bare WSGI + psycopg, compiled SQL"
WITH, WITHOUT = "stored", "compiled"
IMPORT, IMPORTED = "import of a file", 20_000

FIND_FUNCTIONS = r"SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'stored\_%'"
FIND_COLUMNS = r"SELECT table_name, column_name FROM information_schema.columns WHERE column_name LIKE 'stored\_%'"
READ_SIZE = r"SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'catalog\_%'"


def drop_stored(connection: psycopg.Connection[Any]) -> None:
    """Leave the tables as they were before the migration that stores rows."""
    for (function,) in connection.execute(FIND_FUNCTIONS).fetchall():
        connection.execute(f"DROP FUNCTION {function} CASCADE")
    for table, column in connection.execute(FIND_COLUMNS).fetchall():
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")


def list_pages(stored: Server, compiled: Server, bare: Server) -> list[Target]:
    return [
        Target(STORED, stored, PAGE),
        Target(COMPILED, compiled, PAGE),
        Target(BARE, bare, "/"),
        Target(FIELDS_STORED, stored, FIELDS),
        Target(FIELDS_COMPILED, compiled, FIELDS),
    ]


@dataclass(frozen=True)
class Side:
    """One of the two databases, its server, and somebody who writes there."""

    name: str
    database: str
    server: Server
    writer: Writer

    def read_disk(self) -> int:
        """Bytes of the catalogue's tables with their indexes."""
        with psycopg.connect(self.database) as connection:
            row = connection.execute(READ_SIZE).fetchone()
        assert row
        return int(row[0])

    def list_writes(self) -> Iterator[tuple[str, Callable[[], None], int]]:
        yield f"{MANY}, {self.name}", partial(self.writer.send_many, BULK), BULK
        yield f"{PRICES}, {self.name}", partial(self.writer.send_prices, BULK), BULK

    def list_imports(self, file: Path) -> Iterator[tuple[str, Callable[[], None], int]]:
        yield f"{IMPORT}, {self.name}", partial(self.import_products, file), IMPORTED

    def import_products(self, file: Path) -> None:
        command = [sys.executable, "manage.py", "import_products", str(file), "--json"]
        environment = os.environ | build_environment(self.database)
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)


def measure_storing(sides: Sequence[Side], rounds: int, postgres: int, say: Callable[[str], None]) -> Samples:
    """Rows a second of new products, of new prices and of an import. Each round writes on both sides.

    The first round warms up and counts for nothing.
    """
    samples: Samples = {}

    def take_round(number: int, side: Side, writes: Iterable[tuple[str, Callable[[], None], int]]) -> None:
        for name, write, rows in writes:
            say(f"round {number} of {rounds}: {name}")
            sample = run_round(write, rows, (side.server.process.pid, postgres))
            samples.setdefault(name, []).extend([sample] if number else [])

    for number, side in product(range(rounds + 1), sides):
        take_round(number, side, side.list_writes())
    # After the API's rounds: its kept connection wouldn't live so long.
    with tempfile.TemporaryDirectory() as folder:
        for number, side in product(range(rounds + 1), sides):
            file = Path(folder) / f"{number}.csv"
            write_file(file, IMPORTED, f"ROUND-{number}")
            take_round(number, side, side.list_imports(file))
    return samples
