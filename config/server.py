"""The launcher: `python -m config.server [--with-worker] [--beside]`; it ends, with all its processes, on a signal.

SIGTERM lets clients go first, for DRAIN_SECONDS; Ctrl-C, or a second signal, doesn't wait. Either way requests that
have begun are finished. `--beside` takes its place on the port of a server that is to end next, without a gap.

It reads the settings and never loads the apps: no thread, connection or pool may exist before the web workers fork.
"""

import argparse
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from config.logs import stop_listener
from config.metrics import open_folder
from config.operation.dangers import is_exposed, list_dangers
from config.process import affinity
from config.process.capacity import HEAD_BYTES, HEAD_MS, count_connections, count_threads
from config.process.draining import DRAIN, SIGNAL, Draining
from config.process.limits import KEEPER, limit_api
from config.serving.supervisor import Supervisor

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"

# How long a request may go on after the signal to stop; a proxy has its own idea by then.
STOP_SECONDS = 10


class PortTaken(Exception):
    """Nothing can listen there; the message says why and what to do."""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m config.server", description="Serve Tenfold.")
    parser.add_argument("--with-worker", action="store_true", help="run a background worker beside the server")
    parser.add_argument("--check", action="store_true", help="only see whether the settings and the port are right")
    parser.add_argument("--beside", action="store_true", help="share the port with the server that this one replaces")
    options = parser.parse_args(arguments)
    refuse_dangers()
    if not options.beside:
        check_port(settings.HOST, settings.PORT)
    if not options.check:
        with open_folder():
            serve(options.with_worker)


def refuse_dangers() -> None:
    """ImproperlyConfigured for settings with which nobody else should reach this server; on loopback they're yours."""
    if is_exposed():
        for danger in list_dangers():
            raise ImproperlyConfigured(f"{danger.name} {danger.detail}. {danger.remedy}")


def refuse_inherited_pools() -> None:
    """Processes that share a pool's sockets read each other's rows."""
    loaded = sys.modules.get("django.db.backends.postgresql.base")
    if loaded and loaded.DatabaseWrapper._connection_pools:
        raise ImproperlyConfigured("a connection pool was opened before the web workers forked; query nothing there")


def check_port(host: str, port: int) -> None:
    """PortTaken where nothing can listen: granian would share the port with another server and say nothing."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # As servers do: without it, a port whose last connections are still closing counts as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        other = port + 1 if port < 65_535 else 8000
        raise PortTaken(
            f"can't listen on {host}:{port} ({error.strerror}); stop what uses it, or set another, as in PORT={other}"
        ) from error


def serve(with_worker: bool) -> None:
    """Returns when a signal has stopped everything."""
    companion = Companion() if with_worker else None
    server = build_server(lambda: start_threads(companion))
    server.on_startup(lambda: hang_up(server))
    try:
        server.serve(target_loader=load_application, wrap_loader=False)
    finally:
        if companion:
            companion.stop()


def start_threads(companion: threading.Thread | None) -> None:
    """Once the web workers have forked: what a thread has locked at that moment stays locked in them.

    A first password was checked for ever, by OpenSSL, which our own look at /livez was loading in a thread.
    """
    threading.Thread(target=announce, daemon=True).start()
    if companion:
        companion.start()


def build_server(on_forked: Callable[[], None]) -> Supervisor:
    return Supervisor(
        "config.wsgi:application",
        address=settings.HOST,
        port=settings.PORT,
        interface=Interfaces.WSGI,
        workers=settings.WEB_WORKERS,
        blocking_threads=count_threads(settings.WEB_THREADS),
        websockets=False,
        http=HTTPModes.http1,  # the limits of bodies are those of connections, and HTTP/2 shares one
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_MS, max_buffer_size=HEAD_BYTES),
        backpressure=count_connections(),
        log_level=LogLevels.error,  # our own line says that it serves, and so many threads are meant
        log_access=False,  # config.middleware writes the line of a request
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        drain_seconds=settings.DRAIN_SECONDS,
        on_forked=on_forked,
    )


def load_application() -> Any:
    """In a web worker, after the fork: leave the terminal's signals to the launcher, and end when it is gone."""
    os.setpgrp()
    signal.signal(SIGNAL, DRAIN.begin)
    # Until granian sets its own, the launcher's handler is here too, by which a worker that loads wouldn't end.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    affinity.settle()
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        refuse_inherited_pools()
        from config.wsgi import application  # noqa: PLC0415 (it loads the apps, which the launcher must not)

        KEEPER.begin(limit_api())
    except ImproperlyConfigured as error:
        stop_listener()
        sys.exit(f"tenfold: {error}")
    return Draining(application)


def end_with_parent() -> None:
    """A killed launcher would leave its web workers on the port."""
    if parent := multiprocessing.parent_process():
        parent.join()
        while True:  # the first may come while it still starts, with a copy of the launcher's own handler
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)


def hang_up(server: Supervisor) -> None:
    """A closed terminal stops the server; granian takes SIGHUP as an order to reload."""
    signal.signal(signal.SIGHUP, server.signal_handler_interrupt)


def find_address() -> str:
    """Where a person on this machine reaches the server: an address that stands for all isn't one to visit."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)  # noqa: S104 (read, not bound)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.PORT}"


def announce() -> None:
    """Say that it serves once it does, so that whoever waits for the line can go on."""
    url = find_address()
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{url}/livez", timeout=2):  # noqa: S310 (our own address)
                break
        except urllib.error.HTTPError:
            break  # an answer all the same, as where ALLOWED_HOSTS leaves this name out
        except OSError:
            threading.Event().wait(0.1)
    print(f"Tenfold serves on {url} (Ctrl-C stops it)", flush=True)


class Companion(threading.Thread):
    """The background worker beside the server: started, started again where it fails, stopped with it."""

    def __init__(self) -> None:
        super().__init__(name="companion", daemon=True)
        self.stopping = threading.Event()
        self.process: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()

    def run(self) -> None:
        while process := self.spawn():
            code = process.wait()
            if not self.stopping.wait(1):
                print(f"tenfold: the worker ended with code {code} and is started again", file=sys.stderr, flush=True)

    def spawn(self) -> subprocess.Popen[bytes] | None:
        """A worker just started; None once the server stops."""
        command = [sys.executable, str(MANAGE), "work", "--parent", str(os.getpid())]
        with self.lock:
            if self.stopping.is_set():
                return None
            # Its own group: Ctrl-C reaches the launcher alone, which stops things in their order.
            self.process = subprocess.Popen(command, process_group=0)  # noqa: S603 (our own program)
            return self.process

    def stop(self) -> None:
        with self.lock:
            self.stopping.set()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if self.ident:  # else it never began
            self.join()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        main(sys.argv[1:])
    except (ImproperlyConfigured, PortTaken) as error:
        sys.exit(f"tenfold: {error}")
