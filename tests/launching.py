"""Starts real processes for tests: commands, and servers, which already answer when they are returned.

On Linux they are forks of a process that has loaded other people's packages (tests/warm.py).
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from django.db import connection

from tests.services import find_binary, free_port
from tests.warm import Forked

ROOT = Path(__file__).resolve().parent.parent

SECRET = "of tests, q4Zr-0pTgWkXv2sLmN8yBhC6dJ1fUeAoI9_R7tYxKzHwQb"

# Seconds to wait. A start takes two; on a machine with ten times as much to do, 60 weren't enough for `migrate`.
PATIENCE = 180


def build_environment(**variables: str) -> dict[str, str]:
    """This machine's environment, without variables that would change a test, plus `variables`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WEB_", "LOG_", "DATABASE_", "DJANGO_", "OTEL_", "SENTRY_"))
    }
    defaults = {"SECRET_KEY": SECRET, "LOG_LEVEL": "INFO", "LOG_FORMAT": "json", "REDIS_URL": "", "DEBUG": "false"}
    # Tests don't wait for draining, except those about it.
    defaults |= {"DRAIN_SECONDS": "0"}
    return kept | defaults | variables


# Of these, packages may read some while they are loaded.
UNFORKED = ("OTEL_", "SENTRY_")
type Process = subprocess.Popen[Any] | Forked
FORKS = {"in use": sys.platform == "linux"}


def start(arguments: Sequence[str], environment: dict[str, str], out: Any, errors: Any, folder: Path = ROOT) -> Process:
    """A process that runs `python …` in a folder, with open files as outputs. Options of Python itself need a start."""
    can_fork = arguments[0] in ("-c", "-m") or arguments[0].endswith(".py")
    if FORKS["in use"] and can_fork and not any(name.startswith(UNFORKED) for name in environment):
        return Forked(arguments, environment, folder, out.fileno(), errors.fileno())
    return subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment, stdout=out, stderr=errors)


def run_command(*arguments: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `python …` until its end, whatever its exit code."""
    with TemporaryFile("w+") as out, TemporaryFile("w+") as errors:
        process = start(arguments, build_environment(**variables), out, errors, folder)
        try:
            code = process.wait(PATIENCE)
        finally:
            process.kill()
        out.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), errors.read())


def find_database_url() -> str:
    """The URL of the test's own database, for another process. That sees only committed rows."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    return f"postgres://{database['USER']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"


def copy_tables(url: str) -> None:
    """Fill an empty database of PostgreSQL as the tests' own was before the first test: migrations take 6 s of CPU."""
    pg_dump, psql = str(find_binary("pg_dump")), str(find_binary("psql"))
    dump = subprocess.run(
        [pg_dump, "--no-owner", "--no-comments", "--exclude-schema=migrated", find_database_url()],
        check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run([psql, "-qX", "-v", "ON_ERROR_STOP=1", url], input=dump.stdout, check=True, capture_output=True)


class Launched:
    """A process whose output is read continuously. `lines` is its output so far."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        self.lines: list[str] = []
        self.heard = threading.Condition()
        output, its_output = os.pipe()
        self.output = open(output)  # noqa: SIM115 (close() does)
        with open(its_output, "w") as its:
            self.process = start(arguments, build_environment(**variables), its, its)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        for line in self.output:
            with self.heard:
                self.lines.append(line.rstrip("\n"))
                self.heard.notify_all()

    def wait_for(self, text: str) -> str:
        """Wait for a line with `text` in it, and return the first one."""

        def find() -> str | None:
            return next((line for line in self.lines if text in line), None)

        with self.heard:
            line = self.heard.wait_for(find, timeout=PATIENCE)
        assert line, f"no {text!r} within {PATIENCE} s:\n" + "\n".join(self.lines)
        return line

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal. Returns the exit code after all output was read."""
        self.process.send_signal(how)
        code = self.process.wait(timeout=PATIENCE)
        self.close()
        return code

    def close(self) -> None:
        # The pipe ends when the last process that writes to it has ended: an orphan would keep it open.
        self.reader.join(timeout=PATIENCE)
        assert not self.reader.is_alive(), "a process outlived its launcher"
        self.output.close()

    def end(self) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)
        else:
            self.close()


@contextmanager
def launch(*arguments: str, **variables: str) -> Iterator[Launched]:
    launched = Launched(*arguments, **variables)
    try:
        yield launched
    finally:
        launched.end()


@contextmanager
def launch_server(*arguments: str, **variables: str) -> Iterator[tuple[str, Launched]]:
    """Start a server. Returns its URL and its process when it answers."""
    variables.setdefault("PORT", str(free_port()))
    with launch("-m", "config.server", *arguments, **variables) as launched:
        launched.wait_for("serves on")
        yield f"http://127.0.0.1:{variables['PORT']}", launched
