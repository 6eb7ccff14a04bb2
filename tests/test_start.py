"""How it starts and ends: the commands of the Makefile as real processes."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings

from accounts.management.commands import welcome
from accounts.models import AuthToken, User
from config.api.models import SavedView, Worker
from config.dotenv import add_secret_key
from tests.launching import FORKS, PATIENCE, ROOT, launch, launch_server, run_command
from tests.services import free_port


@pytest.fixture
def nothing_is_loaded_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are started as `make` starts them, not forked from one that has loaded packages."""
    monkeypatch.setitem(FORKS, "in use", False)


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> str:
    """The URL of a fresh SQLite file with all tables."""
    return f"sqlite:///{shutil.copy(migrated, tmp_path)}"


def read_url(url: str, **headers: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        body: bytes = answer.read()
        return body


# -- the server -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_is_loaded_before")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_server_and_worker_and_leaves_no_process(database: str, how: signal.Signals) -> None:
    with launch_server("--with-worker", DATABASE_URL=database) as (url, launched):
        launched.wait_for("Starting worker")
        wait_until_it_is_heard_of(url)
        assert count_workers(database) == 1
        ids = ask_for_lines(url)
        # stop() waits for the end of the output, which an orphan would hold open.
        assert launched.stop(how) == (-how if how == signal.SIGKILL else 0)
    with pytest.raises(OSError, match="refused"):
        read_url(f"{url}/livez")
    if how != signal.SIGKILL:
        assert count_workers(database) == 0  # it signed off
        records = [json.loads(line) for line in launched.lines if line.startswith("{")]
        assert [found for record in records if (found := record["request_id"]) in ids] == ids


def wait_until_it_is_heard_of(url: str) -> None:
    """A worker beats in a thread of its own."""
    end = time.monotonic() + PATIENCE
    while json.loads(read_url(f"{url}/readyz"))["worker"] != "ok":
        assert time.monotonic() < end, "the worker was never heard"
        time.sleep(0.05)  # a poll of another process's state; nothing tells us


def ask_for_lines(url: str) -> list[str]:
    """The ids of requests, each of which is a line of the log."""
    ids = [f"walk-{number}" for number in range(300)]
    for request_id in ids:
        read_url(f"{url}/livez", **{"X-Request-ID": request_id})
    return ids


def count_workers(database: str) -> int:
    return count_rows(database, Worker._meta.db_table)


def count_rows(database: str, table: str) -> int:
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as line:
        return int(line.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# A worker finds the task that was there before.
ENQUEUE = """
import django
django.setup()
from django.core.management import call_command
from exports.tasks import advance_export
advance_export.enqueue(0)
call_command("work")
"""


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_is_loaded_before")
def test_a_worker_alone_runs_a_task_writes_its_lines_and_ends_on_sigterm(database: str) -> None:
    # On the production backend from Redis: there the line comes from a fork that leaves by os._exit.
    services = {"DATABASE_URL": database, "REDIS_URL": os.environ["REDIS_URL"]}
    with launch("-c", ENQUEUE, DJANGO_SETTINGS_MODULE="config.settings", **services) as launched:
        launched.wait_for("Starting worker")
        line = json.loads(launched.wait_for("state=SUCCESSFUL"))
        assert launched.stop() == 0
    assert "exports.tasks.advance_export" in line["message"]


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_is_loaded_before")
def test_a_taken_port_is_one_sentence() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run_command("-m", "config.server", PORT=str(port))
    assert done.returncode == 1
    assert done.stderr == (
        f"tenfold: can't listen on 127.0.0.1:{port} (Address already in use);"
        f" stop what uses it, or set another, as in PORT={port + 1}\n"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_is_loaded_before")
def test_a_host_that_is_not_ours_is_one_sentence() -> None:
    done = run_command("-m", "config.server", "--check", HOST="203.0.113.7")
    assert done.returncode == 1
    assert done.stderr.startswith("tenfold: can't listen on 203.0.113.7:8000 (")
    assert done.stderr.count("\n") == 1


# -- services that are away or hang -----------------------------------------------------------------------------


@pytest.fixture
def hung_port() -> Iterator[int]:
    """Takes every connection and never says a word, as a server that is stopped or swaps does."""
    with socket.socket() as hung:
        hung.bind(("127.0.0.1", 0))
        hung.listen()
        yield hung.getsockname()[1]


def read_ready(url: str) -> tuple[int, dict[str, str], float]:
    began = time.monotonic()
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=30) as answer:
            status, report = answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            status, report = error.code, json.load(error)
    return status, report, time.monotonic() - began


def read_ready_in_time(url: str) -> tuple[int, dict[str, str], float]:
    """On a busy machine a server's first answer may come too late; a database that hangs never answers."""
    end = time.monotonic() + PATIENCE
    while (told := read_ready(url))[1]["database"].startswith("no answer"):
        assert time.monotonic() < end, told
    return told


@pytest.mark.slow
def test_a_database_that_hangs_is_a_503_within_seconds(hung_port: int) -> None:
    with launch_server(DATABASE_URL=f"postgres://shop@127.0.0.1:{hung_port}/shop") as (url, launched):
        status, report, seconds = read_ready(url)
        assert (status, report) == (503, {"status": "unavailable", "database": "no answer within 2 s"})
        assert seconds < 5
        # The process itself lives, and the question that hangs doesn't hold up its end.
        assert json.loads(read_url(f"{url}/livez")) == {"status": "ok"}
        assert launched.stop() == 0


@pytest.mark.slow
def test_a_database_that_is_away_is_a_503_at_once() -> None:
    with launch_server(DATABASE_URL=f"postgres://shop@127.0.0.1:{free_port()}/shop") as (url, _):
        status, report, seconds = read_ready(url)
    assert (status, report["status"], report["database"]) == (503, "unavailable", "down (OperationalError)")
    assert seconds < 2


@pytest.mark.slow
def test_a_redis_that_hangs_only_degrades(database: str, hung_port: int) -> None:
    services = {"DATABASE_URL": database, "REDIS_URL": f"redis://127.0.0.1:{hung_port}/0"}
    with launch_server(**services) as (url, _):
        status, report, seconds = read_ready_in_time(url)
        assert (status, report["status"], report["database"]) == (200, "degraded", "ok")
        assert report["cache"].startswith("down (")
        assert seconds < 2
        assert json.loads(read_url(f"{url}/api/v1/products/"))["results"] == []


# -- make -------------------------------------------------------------------------------------------------------


def run_make(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", "-f", str(ROOT / "Makefile"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_an_old_python_is_one_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python-old"
    # Whatever it is asked, its version is too low.
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    (tmp_path / "requirements.lock").touch()
    done = run_make("install", f"PYTHON={old}", folder=tmp_path)
    assert done.returncode == 2
    sentence, *rest = done.stderr.splitlines()
    assert sentence == (
        f"Tenfold needs Python 3.12 or later, and {old} is older: name another, as in make PYTHON=/usr/bin/python3.13"
    )
    assert all(line.startswith("make: ***") for line in rest)
    assert not (tmp_path / ".venv").exists()


@pytest.mark.slow
def test_no_python_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").touch()
    done = run_make("install", "PYTHON=", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("Tenfold needs Python 3.12 or later: install it")


def test_make_lists_its_commands(tmp_path: Path) -> None:
    done = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    names = {line.split()[1] for line in done.stdout.splitlines()}
    assert {"install", "run", "serve", "worker", "test", "lint"} <= names


# -- what `make run` writes and prints --------------------------------------------------------------------------


def read_mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_secret_is_written_once_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    file = tmp_path / ".env"
    file.write_text("PORT=8001")
    add_secret_key(file)
    written = file.read_text()
    assert re.fullmatch(r"PORT=8001\nSECRET_KEY=[\w-]{60,}\n", written)
    assert read_mode(file) == 0o600
    add_secret_key(file)
    assert file.read_text() == written


def test_a_secret_of_the_environment_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "from outside")
    add_secret_key(tmp_path / ".env")
    assert not (tmp_path / ".env").exists()


@pytest.mark.django_db
def test_the_second_welcome_prints_the_first_ones_login(tmp_path: Path) -> None:
    file = tmp_path / ".demo"
    first = welcome.find_login(file)
    assert read_mode(file) == 0o600
    assert welcome.find_login(file) == first
    assert User.objects.get().check_password(first.password)
    assert AuthToken.objects.count() == 1


@pytest.mark.django_db
def test_a_token_that_expired_is_replaced_and_the_password_kept(tmp_path: Path) -> None:
    first = welcome.find_login(tmp_path / ".demo")
    AuthToken.objects.all().delete()
    second = welcome.find_login(tmp_path / ".demo")
    assert second.password == first.password
    assert second.token != first.token


@pytest.mark.django_db
def test_a_password_that_was_changed_is_not_set_back(tmp_path: Path) -> None:
    welcome.find_login(tmp_path / ".demo")
    user = User.objects.get()
    user.set_password("my own")
    user.save()
    assert welcome.find_login(tmp_path / ".demo").password == ""
    assert User.objects.get().check_password("my own")


def test_files_of_make_run_are_not_in_git() -> None:
    ignored = (settings.BASE_DIR / ".gitignore").read_text().splitlines()
    assert {".env", ".demo", ".venv"} <= set(ignored)


def test_the_locks_name_no_package_host() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert "--index-url" not in text


def test_what_is_tested_is_what_is_installed() -> None:
    served, tested = (
        dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert served.items() <= tested.items()


def prepare(folder: Path, **variables: str) -> str:
    """What `make run` prints before it serves, with its hidden files in `folder`."""
    code = (
        "import django; from pathlib import Path; from django.conf import settings;"
        f" settings.BASE_DIR = Path({str(folder)!r}); django.setup();"
        " from django.core.management import call_command; call_command('prepare', products=25)"
    )
    done = run_command("-c", code, DJANGO_SETTINGS_MODULE="config.settings", **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


def take_back_saved_views(database: str) -> None:
    """As before the migration that made their table. All migrations take 6 s of CPU, which `migrated` has spent."""
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as line, line:
        line.execute(f"DROP TABLE {SavedView._meta.db_table}")
        line.execute("DELETE FROM django_migrations WHERE app = 'api' AND name = '0005_saved_views'")


@pytest.mark.slow
def test_prepare_migrates_and_fills_a_second_run_changes_nothing_and_the_printed_curl_lines_work_as_pasted(
    database: str, tmp_path: Path
) -> None:
    take_back_saved_views(database)
    variables = {"DATABASE_URL": database, "PORT": str(free_port())}
    first, second = prepare(tmp_path, **variables), prepare(tmp_path, **variables)
    assert "25 demo products added" in first
    assert "Nothing to do: demo products up to number 25 were added before" in second
    # The same login, token and lines.
    assert first.partition("Start page")[2] == second.partition("Start page")[2] != ""

    listing, change, export = (line for line in second.splitlines() if line.startswith("curl "))
    with launch_server(**variables):
        rows = json.loads(paste_curl(listing, tmp_path))["results"]
        changed = json.loads(paste_curl(change, tmp_path))
        paste_curl(export, tmp_path)
    assert count_rows(database, SavedView._meta.db_table) == 0
    assert rows
    assert all(row["in_stock"] and row["brand"]["slug"] and "images" in row for row in rows)
    assert changed["rating"] == "4.50"
    with (tmp_path / "products.csv").open() as file:
        assert sum(1 for _ in csv.DictReader(file)) == 25


def paste_curl(line: str, folder: Path) -> str:
    if not shutil.which("curl"):
        pytest.skip("no curl on this machine")
    done = subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout
