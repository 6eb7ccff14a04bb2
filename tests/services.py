"""A pytest plugin (`-p tests.services`) that chooses the suite's services, before the settings are loaded.

`TEST_BACKEND=embedded` (the default) uses SQLite and the in-process cache. `TEST_BACKEND=production` starts its own
PostgreSQL and Redis from the machine's binaries on free ports, and stops them at the end.
"""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import redis

POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


def find_binary(name: str) -> str | None:
    """The path of a program. On Debian, PostgreSQL's server programs aren't on the PATH."""
    beside = POSTGRES / name if POSTGRES else None
    return str(beside) if beside and beside.exists() else shutil.which(name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)  # polls, since nothing tells when another process has started
    raise RuntimeError(f"nothing listens on port {port} after {seconds} s")


def wait_for_postgres(url: str, seconds: float = 60) -> None:
    """Return when it takes connections. It listens before, while it recovers."""
    end = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
        time.sleep(0.05)  # polls, since nothing tells


def stop_process(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    process.wait(timeout=60)


class PostgresServer:
    """A PostgreSQL server with its own data folder, without fsync: fast, but not crash-safe."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tenfold-postgres-"))
        self.port = free_port()
        # The server refuses to run as root.
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        self.fill_folder()
        self.options = ("-c", "fsync=off", "-c", "full_page_writes=off", *options)
        self.start()
        self.url = f"postgres://tenfold@127.0.0.1:{self.port}/postgres"

    def fill_folder(self) -> None:
        self.run("initdb", "--auth=trust", "--username=tenfold", "--encoding=UTF8", "--locale=C.UTF-8")

    def run(self, name: str, *arguments: str) -> None:
        command = [str(find_binary(name)), *arguments, "-D", str(self.folder)]
        subprocess.run(command, user=self.user, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        command = [str(find_binary("postgres")), "-D", str(self.folder), "-p", str(self.port), "-k", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, *self.options], user=self.user, cwd="/", stdout=log, stderr=log)
        wait_for_port(self.port)
        wait_for_postgres(f"postgres://tenfold@127.0.0.1:{self.port}/postgres")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self.process.poll() is None:
            stop_process(self.process, how)

    def add_owner(self) -> str:
        """Create a role that isn't a superuser, as in the guide. Returns its URL."""
        with psycopg.connect(self.url, autocommit=True) as root:
            root.execute("CREATE ROLE owner LOGIN CREATEDB CREATEROLE")
            # Fixtures with thousands of rows skip the triggers.
            root.execute("GRANT SET ON PARAMETER session_replication_role TO owner")
        return self.url.replace("tenfold@", "owner@")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class ReplicaServer(PostgresServer):
    """A streaming replica of `primary`. Its name in synchronous_standby_names is `replica`."""

    def __init__(self, primary: PostgresServer, *options: str) -> None:
        self.primary = primary
        super().__init__("-c", "cluster_name=replica", *options)

    def fill_folder(self) -> None:
        source = ("-h", "127.0.0.1", "-p", str(self.primary.port), "-U", "tenfold")
        self.run("pg_basebackup", *source, "--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream")

    def promote(self) -> None:
        """Make it a primary. Returns when it accepts writes."""
        self.run("pg_ctl", "promote", "--wait")


class PgBouncer:
    """A PgBouncer in transaction mode, on a free port, in front of the PostgreSQL on port `target`."""

    def __init__(self, target: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tenfold-pgbouncer-"))
        self.port = free_port()
        self.url = f"postgres://tenfold@127.0.0.1:{self.port}/postgres"
        settings = {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "", "auth_type": "any",
            "pool_mode": "transaction", "default_pool_size": 4, "max_client_conn": 200, "logfile": self.folder / "log",
        }  # fmt: skip
        lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
        databases = f"* = host=127.0.0.1 port={target} user=tenfold"
        (self.folder / "ini").write_text(f"[databases]\n{databases}\n[pgbouncer]\n{lines}\n")
        # PgBouncer refuses to run as root.
        user = "postgres" if os.geteuid() == 0 else None
        for path in (self.folder, self.folder / "ini"):
            if user:
                shutil.chown(path, user)
        command = [str(find_binary("pgbouncer")), "-q", str(self.folder / "ini")]
        self.process = subprocess.Popen(command, user=user, cwd="/", stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def remove(self) -> None:
        if self.process.poll() is None:
            stop_process(self.process, signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisServer:
    """A Redis without persistence."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = [str(find_binary("redis-server")), "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for_port(self.port)

    def stop(self) -> None:
        if self.process.poll() is None:
            stop_process(self.process, signal.SIGTERM)

    def ask(self, *command: str | bytes | int) -> Any:
        with redis.Redis(port=self.port) as client:
            return client.execute_command(*command)


def missing_binaries() -> list[str]:
    return [name for name in ("initdb", "postgres", "redis-server") if not find_binary(name)]


def only_hands_out() -> bool:
    """This process runs no test itself: pytest-xdist's workers do, and each of them starts services of its own."""
    return "-n" in sys.argv and "PYTEST_XDIST_WORKER" not in os.environ


def choose_backend() -> None:
    os.environ["SECRET_KEY"] = "the tests' own, fifty characters long, never in use"
    os.environ["LOG_LEVEL"] = "WARNING"
    # About 300 processes load the project. Without bytecode files, each compiles for a fifth of a second.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Set explicitly: otherwise the settings would read these from a developer's .env.
    os.environ |= {"REDIS_URL": "", "DEBUG": "false", "DATABASE_POOL": "0"}
    # The suite is one very busy client. Tests of the rate limits turn them on.
    os.environ |= {"RATE_LIMIT_ANON": "off", "RATE_LIMIT_TOKEN": "off", "RATE_LIMIT_LOGIN": "off"}
    # An absolute path outside the project. pytest-django derives its test database's name from it.
    os.environ["DATABASE_URL"] = "sqlite:///" + str(Path(tempfile.gettempdir()) / f"tenfold-{os.getpid()}.sqlite3")
    if os.environ.get("TEST_BACKEND", "embedded") == "embedded":
        return
    if missing := missing_binaries():
        sentence = f"PostgreSQL and Redis: not tested, missing {', '.join(missing)} (Debian: postgresql redis-server)"
        print(sentence, file=sys.stderr)
        # Not pytest.exit(): while a plugin loads, pytest would show it as an internal error with a traceback.
        sys.exit(1 if os.environ.get("CI") == "true" else 0)
    if not only_hands_out():
        start_services()


def start_services() -> None:
    # Autovacuum's statistics don't count the rows of a test's open transaction. After it, every plan is a nested loop:
    # one import of 6,000 rows took 700 s of CPU time.
    postgres, redis = PostgresServer("-c", "autovacuum=off"), RedisServer()
    atexit.register(postgres.remove)
    atexit.register(redis.stop)
    os.environ |= {"DATABASE_URL": postgres.add_owner(), "REDIS_URL": redis.url, "SUPERUSER_URL": postgres.url}


# The benchmark uses the servers too, but chooses the backend itself.
if "pytest" in sys.modules:
    choose_backend()
    print(f"backend: {os.environ.get('TEST_BACKEND', 'embedded')}", file=sys.stderr)
