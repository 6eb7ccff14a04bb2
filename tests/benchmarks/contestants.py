"""Who takes part: how each server is started, and the address of each page that is measured.

One worker process each, four threads (or one event loop), keep-alive, log level WARNING, no access log.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO

import psycopg

from config.process.capacity import count_threads
from tests.benchmarks.load import Load, run_pgbench, run_wrk, write_script
from tests.services import free_port, wait_for_port

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / ".venv-bench" / "bin"

SECRET_KEY = "the benchmark's own, fifty characters long, never in use"
THREADS = 4

# The same members as the peers show; addresses are left out by all of them.
PAGE = "/api/v1/products/?expand=brand,category,images&omit=images_url,variants_url,url&page_size=50"
DETAIL = (
    "/api/v1/products/7/?expand=brand,category,images"
    "&omit=images_url,variants_url,url,description,seo_title,seo_description"
)
BROWSABLE = "/api/v1/products/"
# Pages of the admin: the path, and what only a page with its rows has.
PRODUCTS = "/admin/catalog/product/"
ADMIN = {
    "first page": ("/admin/", b"Drafts waiting"),
    "list": (PRODUCTS, b'id="result_list"'),
    "search": (f"{PRODUCTS}?q=cotton+candle", b'id="result_list"'),
    "product page": (f"{PRODUCTS}7/change/", b'name="title"'),
}


# Stands for a server where a contestant has none.
PGBENCH = "pgbench"


@dataclass(frozen=True)
class Contestant:
    """A page of a server: `server` names one of SERVERS."""

    name: str
    server: str
    path: str
    note: str = ""


CONTESTANTS = (
    Contestant("tenfold", "tenfold", PAGE, "ours, CACHE=off"),
    Contestant("bare WSGI + psycopg", "bare", "/", "the limit: our own SQL, no framework"),
    Contestant("pgbench", PGBENCH, "", "PostgreSQL's own client: our own SQL, prepared, no bodies made"),
    Contestant("DRF, tuned", "shop", "/tuned/", "select_related, prefetch_related, orjson, cursor pages"),
    Contestant("DRF, plain", "shop", "/plain/", "ModelSerializer, PageNumberPagination"),
    Contestant("django-ninja, cursor", "shop", "/ninja/cursor", "CursorPagination, orjson"),
    Contestant("django-ninja, page", "shop", "/ninja/page", "PageNumberPagination, orjson"),
    Contestant("django-bolt, cursor", "bolt", "/cursor", "CursorPagination, its Serializer and its own server"),
    Contestant("django-bolt, page", "bolt", "/page", "PageNumberPagination, its Serializer and its own server"),
    Contestant("FastAPI, page", "fastapi", "/page", "SQLAlchemy async, fastapi-pagination"),
    Contestant("FastAPI, cursor", "fastapi", "/cursor", "as documented: it counts too"),
    Contestant("FastAPI, cursor uncounted", "fastapi", "/uncounted", "its count switched off"),
    Contestant("Flask, page", "flask", "/page", "Flask-SQLAlchemy's paginate()"),
)

# Name, server and address of the same product elsewhere.
DETAILS = (("detail, tuned DRF", "shop", "/tuned/7/"), ("detail, django-bolt", "bolt", "/detail/7"))


def build_environment(database: str, redis: str = "", port: int = 8000) -> dict[str, str]:
    """Ours: said rather than left out, since the settings would read what is left out from a developer's .env."""
    return {
        "DATABASE_URL": database, "REDIS_URL": redis, "PORT": str(port), "HOST": "127.0.0.1", "SECRET_KEY": SECRET_KEY,
        "CACHE": "off", "WEB_WORKERS": "1", "WEB_THREADS": str(THREADS), "LOG_LEVEL": "WARNING", "LOG_FORMAT": "json",
        "DEBUG": "false", "HTTPS": "false", "ALLOWED_HOSTS": "127.0.0.1", "DATABASE_POOL": "0",
        "DATABASE_PREPARE": "true", "RATE_LIMIT_ANON": "off", "RATE_LIMIT_TOKEN": "off",
    }  # fmt: skip


def write_granian(target: str, threads: int = THREADS) -> Callable[[int], list[str]]:
    return lambda port: [
        str(PEERS / "granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--blocking-threads", str(threads), "--no-ws", "--no-access-log", "--log-level", "warning", target,
    ]  # fmt: skip


def write_uvicorn(target: str) -> Callable[[int], list[str]]:
    return lambda port: [
        str(PEERS / "uvicorn"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--no-access-log",
        "--log-level", "warning", target,
    ]  # fmt: skip


def write_runbolt(port: int) -> list[str]:
    """Its default is one thread that runs handlers, and four beside it that read from the database."""
    return [
        str(PEERS / "django-admin"), "runbolt", "--settings", "tests.benchmarks.peers.shop.settings", "--pythonpath",
        str(ROOT), "--host", "127.0.0.1", "--port", str(port), "--processes", "1", "--workers", "1", "--no-admin",
    ]  # fmt: skip


SERVERS: dict[str, Callable[[int], list[str]]] = {
    "tenfold": lambda port: [sys.executable, "-m", "config.server"],
    "silent": lambda port: [sys.executable, "-m", "tests.benchmarks.watching", "silent"],
    "plain": lambda port: [sys.executable, "-m", "tests.benchmarks.watching", "plain"],
    "bare": write_granian("tests.benchmarks.peers.bare:application"),
    "shop": write_granian("tests.benchmarks.peers.shop.wsgi:application"),
    "bolt": write_runbolt,
    "fastapi": write_uvicorn("tests.benchmarks.peers.fastapi_app:app"),
    # The same server as ours, with as many threads.
    "answers": write_granian("tests.benchmarks.peers.answers:application", count_threads(THREADS)),
    "flask": write_granian("tests.benchmarks.peers.flask_app:app"),
}


class Server:
    """A running one; what it says goes to `log`."""

    def __init__(self, name: str, database: str, redis: str, statement: Path, log: IO[bytes], **variables: str) -> None:
        self.name, self.port = name, free_port()
        environment = os.environ | build_environment(database, redis, self.port) | variables
        environment |= {"BENCH_DATABASE": database, "BENCH_STATEMENT": str(statement)}
        environment |= {"BENCH_REDIS": redis, "BENCH_ANSWERS": str(statement.with_name("answers.json"))}
        self.process = subprocess.Popen(SERVERS[name](self.port), cwd=ROOT, env=environment, stdout=log, stderr=log)
        wait_for_port(self.port, 60)

    def load(self, path: str, seconds: float, connections: int, headers: Mapping[str, str]) -> Load:
        return run_wrk(self.url(path), seconds, connections, headers)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def fetch(self, path: str, patience: float = 60, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
        """A body; asks again while the server still loads its program."""
        request = urllib.request.Request(self.url(path), headers=dict(headers))
        end = time.monotonic() + patience
        while True:
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.read()
            except ConnectionError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.2)  # a poll of another process's start

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()


class Pgbench:
    """No server at all: pgbench runs the page's statement."""

    process = None

    def __init__(self, database: str, statement: Path) -> None:
        self.name, self.database, self.statement = PGBENCH, database, statement

    def load(self, path: str, seconds: float, connections: int, headers: Mapping[str, str]) -> Load:
        return run_pgbench(self.database, self.write(), seconds, connections)

    def write(self) -> Path:
        """The script, beside the statement that was taken from our server."""
        found, script = json.loads(self.statement.read_text()), self.statement.with_suffix(".sql")
        with psycopg.connect(self.database) as connection:
            script.write_text(write_script(psycopg.ClientCursor(connection).mogrify(found["sql"], found["parameters"])))
        return script
