"""A whole installation for tests that kill parts of it: PostgreSQL, Redis, a server and workers of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import psycopg

from tests.launching import ROOT, build_environment
from tests.services import PostgresServer, RedisServer, free_port, wait_for_port

LEASE_SECONDS = 1
PARTNER = """
from accounts.models import AuthToken, User
user = User.objects.create_superuser("partner@example.com", "secret")
print(AuthToken.objects.create(user)[1])
"""


class Plant:
    """One database with `products` products; a queue in Redis, or in the database where `redis` is None."""

    def __init__(self, folder: Path, postgres: PostgresServer, redis: RedisServer | None) -> None:
        self.folder, self.files, self.postgres, self.redis = folder, folder / "files", postgres, redis
        self.processes: list[subprocess.Popen[bytes]] = []
        self.port = free_port()
        self.part_rows, self.chunk_rows, self.part_pause = 200, 500, 0.05
        self.lease_seconds = LEASE_SECONDS

    @property
    def environment(self) -> dict[str, str]:
        return build_environment(
            DATABASE_URL=self.postgres.url,
            REDIS_URL=self.redis.url if self.redis else "",
            EXPORT_STORAGE_URL=f"file://{self.files}",
            JOB_LEASE_SECONDS=str(self.lease_seconds),
            PART_ROWS=str(self.part_rows),
            CHUNK_ROWS=str(self.chunk_rows),
            PART_PAUSE=str(self.part_pause),
            PORT=str(self.port),
            RATE_LIMIT_TOKEN="off",
            EXPORT_QUOTA_JOBS="10000",
            DJANGO_SETTINGS_MODULE="config.settings",
        )

    # -- processes

    def prepare(self, products: int) -> None:
        self.run("manage.py", "migrate", "-v", "0")
        self.run("manage.py", "seed", "--products", str(products), "--json")
        self.token = self.run("manage.py", "shell", "-v", "0", "-c", PARTNER).split()[-1]

    def run(self, *arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """In a process group of its own, as on a machine of its own."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def start_server(self) -> None:
        self.start("server", "-m", "config.server")
        wait_for_port(self.port, seconds=60)

    def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        return self.start(name, "-m", "tests.exports.worker")

    def signal(self, process: subprocess.Popen[bytes], how: signal.Signals) -> None:
        """To the process and whatever it has forked."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        if how == signal.SIGKILL:
            process.wait(timeout=20)

    def end(self) -> None:
        for process in self.processes:
            self.signal(process, signal.SIGCONT)
            self.signal(process, signal.SIGKILL)

    def read_log(self, name: str) -> str:
        file = self.folder / f"{name}.log"
        return file.read_text() if file.exists() else ""

    # -- over HTTP

    def ask(self, path: str, body: Any = None) -> Any:
        """The answer's JSON, or its bytes; HTTPError for a refusal."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v1/{path}")
        request.add_header("Authorization", f"Token {self.token}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
        return json.loads(content) if answer.headers["Content-Type"].startswith("application/json") else content

    def read_row(self, path: str) -> Any:
        """None for a row that is gone."""
        try:
            return self.ask(path)
        except HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return None

    def delete(self, path: str) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v1/{path}", method="DELETE")
        request.add_header("Authorization", f"Token {self.token}")
        urllib.request.urlopen(request, timeout=60).close()

    def post(self, **body: Any) -> int:
        return int(self.ask("exports/", {"resource": "products", "format": "csv"} | body)["id"])

    def wait(self, job_id: int, *statuses: str, seconds: float = 120) -> dict[str, Any]:
        """The job, once its status is one of these, or it is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # None while the database is away.
            job = self.try_state(job_id)
            if job and job["status"] in (*statuses, "ready", "failed", "canceled"):
                return job
            time.sleep(0.1)  # another process works on it
        raise AssertionError(
            f"{job} after {seconds} s\n" + self.read_log("first")[-3000:] + self.read_log("second")[-3000:]
        )

    def try_state(self, job_id: int) -> dict[str, Any] | None:
        try:
            job: dict[str, Any] = self.ask(f"exports/{job_id}/")
        except HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            return None
        return job

    # -- what is there

    def query(self, sql: str) -> list[Any]:
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            return connection.execute(sql).fetchall()

    def list_files(self) -> list[str]:
        return sorted(str(path.relative_to(self.files)) for path in self.files.rglob("*") if path.is_file())


@contextmanager
def build_plant(folder: Path, *, redis: bool, products: int) -> Iterator[Plant]:
    postgres = PostgresServer()
    queue = RedisServer() if redis else None
    plant = Plant(folder, postgres, queue)
    try:
        plant.prepare(products)
        plant.start_server()
        yield plant
    finally:
        plant.end()
        postgres.remove()
        if queue:
            queue.stop()
