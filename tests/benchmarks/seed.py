"""Numbers of rows in, databases full of products out: the same products for every contestant and on every machine.

The server itself makes the rows (`INSERT ... SELECT generate_series`), with triggers off and the indexes rebuilt at
the end: a million products with their texts, variants, stock and images in about two minutes on two cores.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.benchmarks.contestants import ROOT, build_environment

# No statement of it has a semicolon of its own.
SCRIPT = re.sub(r"^--.*\n", "", Path(__file__).with_name("seed.sql").read_text(), flags=re.MULTILINE).split(";")[:-1]

# A product with all that belongs to it, indexes included, takes 3,100 bytes. Beside the tables stand the log ahead of
# them, up to what main.py lets it grow to, and what an index sorts.
PRODUCT_BYTES, BESIDE_BYTES = 3_700, 10_000_000_000

TABLES = ("brand", "category", "product", "producttext", "variant", "stock", "image")

# Every index that no constraint needs.
FIND_INDEXES = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
WHERE i.indrelid = ANY (%s::regclass[]) AND NOT i.indisunique
"""


def describe_lack(sizes: Sequence[int], folder: Path) -> str | None:
    """A sentence where databases of these sizes don't fit beside `folder`."""
    tables = sum(sizes) * PRODUCT_BYTES
    needed, free = tables + min(tables, BESIDE_BYTES), shutil.disk_usage(folder).free
    if needed <= free:
        return None
    return (
        f"{sum(sizes):,} products need about {needed / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} are free:"
        " fewer --rows, or set TMPDIR to a folder with more room"
    )


def make_database(
    server: str,
    rows: int,
    say: Callable[[str], None],
    suffix: str = "",
    change: Callable[[psycopg.Connection[Any]], None] = lambda connection: None,
) -> str:
    """The address of a new database with `rows` products; `server` is the address of any other database there.

    `change` changes its tables before they are filled.
    """
    name = f"bench_{rows}{suffix}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = f"{server.rpartition('/')[0]}/{name}"
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        change(connection)
        connection.execute("SET maintenance_work_mem = '512MB'")
        with connection.transaction():
            fill_tables(connection, rows, lambda text: say(f"seeding {rows:,} products: {text}"))
        connection.execute("VACUUM (ANALYZE)")
    return url


def migrate(url: str) -> None:
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=os.environ | build_environment(url), check=True)


def fill_tables(connection: psycopg.Connection[Any], rows: int, say: Callable[[str], None] = lambda text: None) -> None:
    """Into empty tables, in the caller's transaction."""
    connection.execute("SET LOCAL session_replication_role = replica")
    with without_indexes(connection, say), storing_rows(connection):
        for number, statement in enumerate(SCRIPT, 1):
            say(f"step {number} of {len(SCRIPT)}, {' '.join(statement.split()[:3])}")
            connection.execute(statement.replace(":rows", str(rows)))
    for table in TABLES:
        if table != "producttext":
            move_sequence(connection, f"catalog_{table}")
    connection.execute("SET LOCAL session_replication_role = DEFAULT")


@contextmanager
def storing_rows(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """The triggers that store the JSON of rows run, and no others. A product's images come before it (seed.sql)."""
    tables = connection.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'stored_row'").fetchall()
    for (table,) in tables:
        connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER stored_row")
    yield
    for (table,) in tables:
        connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER stored_row")


@contextmanager
def without_indexes(connection: psycopg.Connection[Any], say: Callable[[str], None]) -> Iterator[None]:
    """Built at the end in one go they take a third of the time."""
    found = connection.execute(FIND_INDEXES, ([f"catalog_{table}" for table in TABLES],)).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")
    yield
    for number, (name, definition) in enumerate(found, 1):
        say(f"index {number} of {len(found)}, {name}")
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
