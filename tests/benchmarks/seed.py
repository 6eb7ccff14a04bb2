"""Numbers of rows in, databases full of products out: the same products for every contestant and on every machine.

The server itself makes the rows (`INSERT ... SELECT generate_series`), with triggers off and the indexes rebuilt at
the end: a million products with their texts, variants, stock and images in about two minutes on two cores.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.benchmarks.contestants import ROOT, build_environment

SCRIPT = Path(__file__).with_name("seed.sql").read_text()

TABLES = ("brand", "category", "product", "producttext", "variant", "stock", "image")

# Every index that no constraint needs.
FIND_INDEXES = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
WHERE i.indrelid = ANY (%s::regclass[]) AND NOT i.indisunique
"""


def make_database(server: str, rows: int) -> str:
    """The address of a new database with `rows` products; `server` is the address of any other database there."""
    name = f"bench_{rows}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = f"{server.rpartition('/')[0]}/{name}"
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        with connection.transaction():
            fill_tables(connection, rows)
        connection.execute("VACUUM (ANALYZE)")
    return url


def migrate(url: str) -> None:
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=os.environ | build_environment(url), check=True)


def fill_tables(connection: psycopg.Connection[Any], rows: int) -> None:
    """Into empty tables, in the caller's transaction."""
    connection.execute("SET LOCAL session_replication_role = replica")
    with without_indexes(connection):
        connection.execute(SCRIPT.replace(":rows", str(rows)))
    for table in TABLES:
        if table != "producttext":
            move_sequence(connection, f"catalog_{table}")
    connection.execute("SET LOCAL session_replication_role = DEFAULT")


@contextmanager
def without_indexes(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Built at the end in one go they take a third of the time."""
    found = connection.execute(FIND_INDEXES, ([f"catalog_{table}" for table in TABLES],)).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")
    yield
    for _, definition in found:
        connection.execute(definition)


def move_sequence(connection: psycopg.Connection[Any], table: str) -> None:
    connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")


def find_deep_row(url: str, depth: int) -> tuple[str, int]:
    """`created_at` and id of the active product at `depth`, the newest first."""
    query = (
        "SELECT created_at, id FROM catalog_product WHERE status = 'active'"
        " ORDER BY created_at DESC, id DESC OFFSET %s LIMIT 1"
    )
    with psycopg.connect(url) as connection:
        row = connection.execute(query, (depth,)).fetchone()
    assert row, f"no row at depth {depth}"
    return row[0].isoformat(), row[1]
