"""An import beside psql, and beside django-import-export: rounds in turn, each into empty tables, and their ratios.

`python -m tests.benchmarks.importing --rows 1000000 --rounds 3`, with PostgreSQL and psql on the machine. A product has
a text, a variant and stock; psql copies the same file into a staging table and upserts each table by one statement,
with the same indexes and triggers.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psycopg

from tests.benchmarks.contestants import PEERS, ROOT, build_environment
from tests.benchmarks.seed import migrate
from tests.services import PostgresServer

TEMPLATE = "bench_empty"
COLUMNS = ("sku", "title", "description", "brand", "price", "stock")
# What is compared with django-import-export, at a hundred rows a second or so.
FEW_ROWS = 20_000

PSQL = """
CREATE UNLOGGED TABLE staging (
    sku text, title text, description text, brand text, price numeric(12, 2), stock integer);
\\copy staging FROM '{file}' (FORMAT csv, HEADER)
ANALYZE staging;
SET tenfold.before = 'off';
INSERT INTO catalog_brand (name, slug, version, created_at, updated_at)
SELECT DISTINCT brand, lower(regexp_replace(brand, '[^A-Za-z0-9]+', '-', 'g')), 1, now(), now() FROM staging
ON CONFLICT (slug) DO NOTHING;
INSERT INTO catalog_product (sku, slug, title, brand_id, status, currency, price, in_stock, rating, image_url,
    attributes, version, created_at, updated_at)
SELECT s.sku, lower(regexp_replace(s.title || '-' || s.sku, '[^A-Za-z0-9]+', '-', 'g')), s.title, b.id, 'active', 'USD',
    s.price, s.stock > 0, 0, '', '{{}}', 1, now(), now()
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
            writer.writerow((f"{prefix}-{number:07}", title, text, f"Brand {number % 500}", price, dice.randint(0, 50)))


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

    def time_ours(self, file: Path) -> float:
        return self.time_run([sys.executable, "manage.py", "import_products", str(file), "--json"])

    def time_psql(self, file: Path) -> float:
        script = file.with_suffix(".sql")
        script.write_text(PSQL.format(file=file))
        return self.time_run(["psql", "{url}", "-qXv", "ON_ERROR_STOP=1", "-f", str(script)])

    def time_peer(self, file: Path) -> float:
        return self.time_run([str(PEERS / "python"), "-m", "tests.benchmarks.peers.import_file", str(file)])

    def time_run(self, command: list[str]) -> float:
        """Seconds of a program, its start included, on empty tables."""
        self.number += 1
        url = f"{self.root}/run_{self.number}"
        self.execute(f"CREATE DATABASE run_{self.number} TEMPLATE {TEMPLATE}")
        environment = os.environ | build_environment(url) | {"BENCH_DATABASE": url, "BENCH_REDIS": "redis://127.0.0.1"}
        began = time.perf_counter()
        command = [word.format(url=url) for word in command]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        seconds = time.perf_counter() - began
        self.execute(f"DROP DATABASE run_{self.number}")
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    postgres = PostgresServer("-c", "shared_buffers=1GB", "-c", "max_wal_size=8GB")
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure(Bench(postgres), Path(folder), options.rows, options.rounds)
    finally:
        postgres.remove()


def measure(bench: Bench, folder: Path, rows: int, rounds: int) -> None:
    folder.chmod(0o755)
    many, few = folder / "many.csv", folder / "few.csv"
    write_file(many, rows)
    write_file(few, FEW_ROWS)
    found: dict[str, list[float]] = {"psql": [], "django-import-export": []}
    for _ in range(rounds):
        ours, psql = bench.time_ours(many), bench.time_psql(many)
        found["psql"].append(psql / ours)
        print(json.dumps({"rows": rows, "ours": round(ours, 1), "psql": round(psql, 1)}), flush=True)
        ours, peer = bench.time_ours(few), bench.time_peer(few)
        found["django-import-export"].append(peer / ours)
        print(json.dumps({"rows": FEW_ROWS, "ours": round(ours, 1), "peer": round(peer, 1)}), flush=True)
    print(f"import of {rows:,} products / psql, \\copy and one upsert a table: {median(found['psql']):.2f} (0.5)")
    print(
        f"rows per second / django-import-export, {FEW_ROWS:,} rows: {median(found['django-import-export']):.1f} (20)"
    )


if __name__ == "__main__":
    main()
