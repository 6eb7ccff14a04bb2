"""A job's zstd file by two workers, beside one `psql | zstd -1` of the same SELECT: rounds in turn, and their ratio.

`python -m tests.benchmarks.exporting --rows 1000000 --rounds 5`, with PostgreSQL, Redis, psql and zstd on the machine.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.seed import make_database
from tests.exports.plant import Plant
from tests.services import PostgresServer, RedisServer

# Said to `manage.py shell`: a caller's token, and the SELECT that a job of that caller comes to.
PARTNER = """
from accounts.models import AuthToken, User
print(AuthToken.objects.create(User.objects.create_superuser("bench@example.com", "secret"))[1])
"""
SELECT = """
import psycopg
from django.db import connections
from django.http import QueryDict
from accounts.models import User
from exports.rows.cells import Cells
from exports.rows.chunks import compile_sql, make_query, select_cells
query = make_query("products", User.objects.get(), QueryDict(), "csv")
rows = select_cells(query, query.rows.order_by("pk"), Cells())
connection = connections[rows.db]
connection.ensure_connection()
print(psycopg.ClientCursor(connection.connection).mogrify(*compile_sql(rows)))
"""


@contextmanager
def build_bench(rows: int) -> Iterator[Plant]:
    postgres, redis = PostgresServer("-c", "shared_buffers=512MB", "-c", "max_wal_size=8GB"), RedisServer()
    with tempfile.TemporaryDirectory() as folder:
        postgres.url = make_database(postgres.url, rows, print)
        plant = Plant(Path(folder), postgres, redis)
        plant.token = plant.run("manage.py", "shell", "-v", "0", "-c", PARTNER).split()[-1]
        try:
            plant.start_server()
            for name in ("first", "second"):
                plant.start(name, "manage.py", "work")
            time.sleep(5)  # until both beat
            yield plant
        finally:
            plant.end()
            postgres.remove()
            redis.stop()


def time_job(plant: Plant) -> tuple[float, int]:
    """Seconds from the request to the file, and its bytes."""
    began = time.monotonic()
    job = plant.wait(plant.post(compression="zstd"), seconds=600)
    assert job["status"] == "ready", job
    seconds = time.monotonic() - began
    plant.delete(f"exports/{job['id']}/")
    return seconds, job["bytes"]


def time_psql(plant: Plant, select: str, file: Path) -> tuple[float, int]:
    began = time.monotonic()
    with file.open("wb") as output:
        copy = ["psql", plant.postgres.url, "-qXc", f"COPY ({select}) TO STDOUT (FORMAT csv)"]
        psql = subprocess.Popen(copy, stdout=subprocess.PIPE)
        subprocess.run(["zstd", "-1", "-q", "-c"], stdin=psql.stdout, stdout=output, check=True)
        assert psql.wait() == 0
    return time.monotonic() - began, file.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with build_bench(options.rows) as plant:
        select = plant.run("manage.py", "shell", "-v", "0", "-c", SELECT).strip()
        rounds: list[dict[str, Any]] = []
        for number in range(options.rounds + 1):
            job, size = time_job(plant)
            psql, _ = time_psql(plant, select, plant.folder / "peer.csv.zst")
            if number:  # the first warms both
                rounds.append(
                    {"job": round(job, 2), "psql": round(psql, 2), "ratio": round(psql / job, 2), "bytes": size}
                )
                print(json.dumps(rounds[-1]), flush=True)
        print(f"zstd job file, two workers / psql | zstd -1: {median(row['ratio'] for row in rounds):.2f}")


if __name__ == "__main__":
    main()
