"""Files into the catalogue: beside psql, a second time, and beside django-import-export; and demo products.

`python -m tests.benchmarks.importing --rows 1000000 --rounds 3`, with PostgreSQL and psql on the machine. Rounds go in
turn, each into empty tables. A product has a text, a variant, stock and an image. psql copies the same file into a
staging table and upserts each table by one statement, with the same indexes and triggers. Demo products are compared
with the benchmark's own filling of as many rows (seed.sql). Each is measured by the clock, and by the CPU time of
client and server together.
"""

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg

from tests.benchmarks.contestants import PEERS, ROOT, build_environment
from tests.benchmarks.processes import read_cpu
from tests.benchmarks.seed import fill_tables, migrate
from tests.services import PostgresServer

TEMPLATE = "bench_empty"
COLUMNS = ("sku", "title", "description", "brand", "price", "stock", "image")
# What is compared with django-import-export, at a hundred rows a second or so.
FEW_ROWS = 20_000
# The demo products of a round have more rows each.
DEMO_PART = 10
GROUPS = ("psql", "again", "peer", "demo")

PSQL = """
CREATE UNLOGGED TABLE staging (
    sku text, title text, description text, brand text, price numeric(12, 2), stock integer, image text);
\\copy staging FROM '{file}' (FORMAT csv, HEADER)
ANALYZE staging;
SET tenfold.before = 'off';
INSERT INTO catalog_brand (name, slug, version, created_at, updated_at)
SELECT DISTINCT brand, lower(regexp_replace(brand, '[^A-Za-z0-9]+', '-', 'g')), 1, now(), now() FROM staging
ON CONFLICT (slug) DO NOTHING;
INSERT INTO catalog_product (sku, slug, title, brand_id, status, currency, price, in_stock, rating, image_url,
    attributes, version, created_at, updated_at)
SELECT s.sku, lower(regexp_replace(s.title || '-' || s.sku, '[^A-Za-z0-9]+', '-', 'g')), s.title, b.id, 'active', 'USD',
    s.price, s.stock > 0, 0, s.image, '{{}}', 1, now(), now()
FROM staging s JOIN catalog_brand b ON b.name = s.brand
ON CONFLICT (sku) DO UPDATE SET title = excluded.title, brand_id = excluded.brand_id;
INSERT INTO catalog_producttext (product_id, description, seo_title, seo_description)
SELECT p.id, s.description, '', '' FROM staging s JOIN catalog_product p USING (sku)
ON CONFLICT (product_id) DO UPDATE SET description = excluded.description;
INSERT INTO catalog_variant (product_id, sku, barcode, options, price, weight, position, version, created_at,
    updated_at)
SELECT p.id, s.sku, '', '{{}}', s.price, 0, 1, 1, now(), now() FROM staging s JOIN catalog_product p USING (sku)
ON CONFLICT (sku) DO UPDATE SET price = excluded.price;
INSERT INTO catalog_stock (variant_id, location, on_hand, reserved)
SELECT v.id, 'main', s.stock, 0 FROM staging s JOIN catalog_variant v USING (sku)
ON CONFLICT (variant_id, location) DO UPDATE SET on_hand = excluded.on_hand;
INSERT INTO catalog_image (product_id, url, alt, position)
SELECT p.id, s.image, '', 1 FROM staging s JOIN catalog_product p USING (sku)
ON CONFLICT (product_id, url) DO NOTHING;
"""


def write_file(file: Path, rows: int, prefix: str = "SKU") -> None:
    """The same rows each time; a text of thirty words out of five thousand."""
    dice = random.Random(1)  # no secret
    words = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(3, 9))) for _ in range(5_000)]
    with file.open("w", newline="") as output:
        writer = csv.writer(output)
        writer.writerow(COLUMNS)
        for number in range(rows):
            title, text = (" ".join(dice.choices(words, k=size)) for size in (5, 30))
            price = f"{dice.randint(100, 99_999) / 100:.2f}"
            brand, image = f"Brand {number % 500}", f"https://images.example/{number}.jpg"
            writer.writerow((f"{prefix}-{number:07}", title, text, brand, price, dice.randint(0, 50), image))


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and of CPU by the client and by PostgreSQL."""

    clock: float
    client: float
    server: float

    @property
    def cpu(self) -> float:
        return self.client + self.server


class Bench:
    """A server with a template of empty tables, of which each run gets a copy."""

    def __init__(self, postgres: PostgresServer) -> None:
        self.postgres = postgres
        self.root = postgres.url.rpartition("/")[0]
        self.number = 0
        self.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(f"{self.root}/{TEMPLATE}")

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(statement)

    @contextmanager
    def copy(self) -> Iterator[str]:
        """The address of a database with empty tables."""
        self.number += 1
        self.execute(f"CREATE DATABASE run_{self.number} TEMPLATE {TEMPLATE}")
        yield f"{self.root}/run_{self.number}"
        self.execute(f"DROP DATABASE run_{self.number}")

    def measure(self, run: Callable[[], object]) -> Cost:
        began, client, server = time.perf_counter(), read_client(), read_cpu(self.postgres.process.pid)
        run()
        clock = time.perf_counter() - began
        return Cost(clock, read_client() - client, read_cpu(self.postgres.process.pid) - server)

    def run(self, url: str, *command: str) -> Cost:
        """A program, its start included."""
        environment = os.environ | build_environment(url) | {"BENCH_DATABASE": url, "BENCH_REDIS": "redis://127.0.0.1"}
        return self.measure(
            lambda: subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        )

    def import_file(self, url: str, file: Path) -> Cost:
        return self.run(url, sys.executable, "manage.py", "import_products", str(file), "--json")

    def copy_file(self, url: str, file: Path) -> Cost:
        script = file.with_suffix(".sql")
        script.write_text(PSQL.format(file=file))
        return self.run(url, "psql", url, "-qXv", "ON_ERROR_STOP=1", "-f", str(script))

    def seed(self, url: str, rows: int) -> Cost:
        return self.run(url, sys.executable, "manage.py", "seed", "--products", str(rows), "--json")

    def fill(self, url: str, rows: int) -> Cost:
        with psycopg.connect(url, autocommit=True) as connection, connection.transaction():
            return self.measure(lambda: fill_tables(connection, rows))


def read_client() -> float:
    """CPU seconds of this process and of the programs that it has run."""
    parts = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--groups", default=",".join(GROUPS), help=f"some of {', '.join(GROUPS)}")
    options = parser.parse_args()
    postgres = PostgresServer("-c", "shared_buffers=1GB", "-c", "max_wal_size=8GB")
    try:
        with tempfile.TemporaryDirectory() as folder:
            Rounds(Bench(postgres), Path(folder), options.rows).measure(options.rounds, options.groups.split(","))
    finally:
        postgres.remove()


class Rounds:
    """The groups in turn. `found` has the ratios of each line of the result."""

    def __init__(self, bench: Bench, folder: Path, rows: int) -> None:
        self.bench, self.rows = bench, rows
        folder.chmod(0o755)
        self.many, self.few = folder / "many.csv", folder / "few.csv"
        write_file(self.many, rows)
        write_file(self.few, FEW_ROWS)
        self.found: dict[str, list[float]] = {}

    def measure(self, rounds: int, groups: list[str]) -> None:
        for _ in range(rounds):
            for group in groups:
                getattr(self, f"compare_{group}")()
        for line, ratios in self.found.items():
            print(f"{line}: {median(ratios):.2f}")

    def compare_psql(self) -> None:
        with self.bench.copy() as url:
            ours = self.bench.import_file(url, self.many)
        with self.bench.copy() as url:
            psql = self.bench.copy_file(url, self.many)
        self.note(f"import of {self.rows:,} new products / psql, \\copy and an upsert a table (0.9)", psql, ours)

    def compare_again(self) -> None:
        with self.bench.copy() as url:
            self.bench.import_file(url, self.many)
            again = self.bench.import_file(url, self.many)
        self.found.setdefault("rows a second of an unchanged file (5,000)", []).append(self.rows / again.clock)
        self.found.setdefault("rows a second of CPU of an unchanged file", []).append(self.rows / again.cpu)

    def compare_peer(self) -> None:
        with self.bench.copy() as url:
            ours = self.bench.import_file(url, self.few)
        with self.bench.copy() as url:
            peer = self.bench.run(url, str(PEERS / "python"), "-m", "tests.benchmarks.peers.import_file", str(self.few))
        self.note(f"import of {FEW_ROWS:,} new products / django-import-export (20)", peer, ours)

    def compare_demo(self) -> None:
        rows = self.rows // DEMO_PART
        with self.bench.copy() as url:
            ours = self.bench.seed(url, rows)
        with self.bench.copy() as url:
            fill = self.bench.fill(url, rows)
        self.note(f"time of {rows:,} demo products / seed.sql (3)", ours, fill)

    def note(self, line: str, above: Cost, below: Cost) -> None:
        print(json.dumps({line: [vars(above), vars(below)]}), flush=True)
        self.found.setdefault(line, []).append(above.clock / below.clock)
        self.found.setdefault(f"{line}, by CPU", []).append(above.cpu / below.cpu)


if __name__ == "__main__":
    main()
