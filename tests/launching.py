"""Real processes for tests: a command with its environment, and a server that is up when you get it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from tests.services import free_port

ROOT = Path(__file__).resolve().parent.parent

SECRET = "of tests, q4Zr-0pTgWkXv2sLmN8yBhC6dJ1fUeAoI9_R7tYxKzHwQb"

# A start takes two seconds; the rest is for a machine that does ten other things.
PATIENCE = 60


def build_environment(**variables: str) -> dict[str, str]:
    """This machine's, without what would change a test, plus `variables`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WEB_", "LOG_", "DATABASE_", "DJANGO_"))
    }
    defaults = {"SECRET_KEY": SECRET, "LOG_LEVEL": "INFO", "LOG_FORMAT": "json", "REDIS_URL": "", "DEBUG": "false"}
    # No client of a test needs time to leave, but where the test is about it.
    defaults |= {"DRAIN_SECONDS": "0"}
    return kept | defaults | variables


def run_command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python …` to its end, whatever its code."""
    command = [sys.executable, *arguments]
    environment = build_environment(**variables)
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def find_database_url() -> str:
    """The test's own database, for a process beside it; it sees what is committed."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    return f"postgres://{database['USER']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"


class Launched:
    """A process whose output is read all the time; `lines` is what it has said so far."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        self.lines: list[str] = []
        self.heard = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=build_environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.heard:
                self.lines.append(line.rstrip("\n"))
                self.heard.notify_all()

    def wait_for(self, text: str) -> str:
        """The first line with `text` in it."""

        def find() -> str | None:
            return next((line for line in self.lines if text in line), None)

        with self.heard:
            line = self.heard.wait_for(find, timeout=PATIENCE)
        assert line, f"no {text!r} within {PATIENCE} s:\n" + "\n".join(self.lines)
        return line

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code, once all its output is read."""
        self.process.send_signal(how)
        code = self.process.wait(timeout=PATIENCE)
        self.close()
        return code

    def close(self) -> None:
        # The pipe ends when the last process that writes to it is gone: an orphan would hold it open.
        self.reader.join(timeout=PATIENCE)
        assert not self.reader.is_alive(), "a process outlived its launcher"
        assert self.process.stdout is not None
        self.process.stdout.close()

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
    """The address of a server that answers, and its process."""
    variables.setdefault("PORT", str(free_port()))
    with launch("-m", "config.server", *arguments, **variables) as launched:
        launched.wait_for("serves on")
        yield f"http://127.0.0.1:{variables['PORT']}", launched
