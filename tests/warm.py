"""A process that has loaded other people's packages, and forks one for each start: half of a start's CPU is theirs.

Nothing that reads a setting is loaded before the fork, so the fork's settings, apps and own modules are those of its
environment. What tests a start, its imports or its warnings starts for itself (tests/launching.py says when).
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType

from django.conf import settings

# Of what `django.setup()` loads: what takes long, needs no setting and starts no thread.
PACKAGES = (
    "PIL.Image", "asyncio", "dateutil.relativedelta", "defusedxml", "django.contrib.admin.views.main",
    "django.contrib.postgres.search", "django.core.cache.backends.redis", "django.core.mail",
    "django.core.management.commands.migrate", "django.core.serializers.json", "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base", "django.middleware.csrf", "django.test", "django.views.debug",
    "django_filters", "django_redis", "django_stubs_ext", "environ", "granian.server.mp", "httpcore", "limits.aio",
    "openpyxl", "prometheus_client", "psycopg.types.json", "psycopg_pool", "pygments", "pythonjsonlogger.json",
    "redis.asyncio", "requests", "rest_framework", "rq.worker", "whitenoise", "yaml", "zstandard",
)  # fmt: skip


class Forked:
    """A process that the warm one has forked, as far as tests use a `subprocess.Popen`."""

    returncode: int | None

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, stdout: int, stderr: int
    ) -> None:
        self.arguments, self.turn = arguments, threading.Lock()
        self.told, told = os.pipe()
        request = json.dumps([arguments, dict(environment), str(folder)]).encode()
        socket.send_fds(open_line(), [request], [stdout, stderr, told])
        os.close(told)
        self.pid, self.returncode = self.read_number(), None

    def read_number(self) -> int:
        number = os.read(self.told, 4)
        assert number, "the warm process has ended; its last words say why"
        return int.from_bytes(number, signed=True)

    def poll(self) -> int | None:
        if self.turn.acquire(blocking=False):  # else another thread waits, and it hasn't ended
            with suppress(subprocess.TimeoutExpired):
                self.read_code(0)
            self.turn.release()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        with self.turn:
            return self.read_code(timeout)

    def read_code(self, timeout: float | None) -> int:
        if self.returncode is None:
            if not select.select([self.told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.arguments, timeout or 0)
            self.returncode = self.read_number()
            os.close(self.told)
        return self.returncode

    def send_signal(self, how: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, how)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def open_line() -> socket.socket:
    """To this process's own warm one, which ends when the line is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        warm = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(number)], pass_fds=[number], stdout=subprocess.DEVNULL
        )
    atexit.register(warm.wait)
    atexit.register(ours.close)
    return ours


# -- in the warm process ------------------------------------------------------------------------------------------


def load_packages() -> None:
    for name in PACKAGES:
        importlib.import_module(name)
    assert not settings.configured, "a setting was read before the fork"
    assert len(os.listdir("/proc/self/task")) == 1, "a thread was started before the fork"
    gc.collect()
    gc.freeze()


def serve(line: socket.socket) -> list[str]:
    """Fork for each request. Returns in forks only, each with its command line; exits when the line is closed."""
    watched, running = select.poll(), dict[int, tuple[int, int]]()
    watched.register(line, select.POLLIN)
    while True:
        for ready, _ in watched.poll():
            if ready in running:
                watched.unregister(ready)
                tell_end(ready, *running.pop(ready))
                continue
            request, numbers, _, _ = socket.recv_fds(line, 1 << 20, 3)
            if not request:
                sys.exit()
            stdout, stderr, told = numbers
            if not (pid := os.fork()):
                line.detach()
                return become(request, stdout, stderr)
            os.close(stdout)
            os.close(stderr)
            os.write(told, pid.to_bytes(4, signed=True))
            end = os.pidfd_open(pid)
            running[end] = pid, told
            watched.register(end, select.POLLIN)


def tell_end(end: int, pid: int, told: int) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(end)
    with suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(told, code.to_bytes(4, signed=True))
    os.close(told)


def become(request: bytes, stdout: int, stderr: int) -> list[str]:
    """Take over the outputs, the folder and the environment; all other files are closed, as by `subprocess`."""
    arguments, environment, folder = json.loads(request)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.path[0:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    importlib.invalidate_caches()
    return list(arguments)


def run(arguments: list[str]) -> None:
    """As Python's own command line: `-c CODE`, `-m MODULE` or a file, and what follows is the program's."""
    match arguments:
        case ["-c", code, *_]:
            sys.argv = ["-c", *arguments[2:]]
            sys.modules["__main__"] = main = ModuleType("__main__")
            exec(compile(code, "<string>", "exec"), main.__dict__)
        case ["-m", name, *_]:
            sys.argv = arguments[1:]
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        case _:
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    # Ctrl-C is for the tests' process, which then closes the line.
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    load_packages()
    command = serve(socket.socket(fileno=int(sys.argv[1])))
    signal.signal(signal.SIGINT, interrupt)
    run(command)
