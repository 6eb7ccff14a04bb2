"""The launcher: `python -m config.server [--with-worker] [--beside]`. A signal stops it and all its processes.

After SIGTERM it drains for DRAIN_SECONDS, then stops. Ctrl-C, or a second signal, stops it at once. Either way, started
requests are finished. `--beside` shares the port with a running server, which can then be stopped without a gap.

The launcher reads the settings but never loads the apps: no thread, connection or pool may exist before the web workers
fork.
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

from config.env import write_origin
from config.logs import stop_listener
from config.metrics import open_folder
from config.operation.dangers import is_exposed, list_dangers
from config.process import affinity
from config.process.capacity import HEAD_BYTES, HEAD_MS, count_connections, count_threads
from config.process.draining import DRAIN, SIGNAL, Draining
from config.process.limits import KEEPER, limit_api
from config.serving.supervisor import Supervisor

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"

# Seconds that running requests get after the signal to stop.
STOP_SECONDS = 10


class PortTaken(Exception):
    """The port can't be used. The message has the reason and the remedy."""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m config.server", description="Serve Tenfold.")
    parser.add_argument("--with-worker", action="store_true", help="run a background worker beside the server")
    parser.add_argument("--check", action="store_true", help="only check the settings and the port")
    parser.add_argument("--beside", action="store_true", help="share the port with the server that this one replaces")
    options = parser.parse_args(arguments)
    refuse_dangers()
    if not options.beside:
        check_port(settings.HOST, settings.PORT)
    if not options.check:
        with open_folder():
            serve(options.with_worker)


def refuse_dangers() -> None:
    """Raise ImproperlyConfigured for dangerous settings if other machines can reach this server."""
    if is_exposed():
        for danger in list_dangers():
            raise ImproperlyConfigured(f"{danger.name} {danger.detail}. {danger.remedy}")


def refuse_inherited_pools() -> None:
    """Raise ImproperlyConfigured if a pool was opened before the fork: processes would read each other's rows."""
    loaded = sys.modules.get("django.db.backends.postgresql.base")
    if loaded and loaded.DatabaseWrapper._connection_pools:
        raise ImproperlyConfigured("a connection pool was opened before the web workers forked; run no query before")


def check_port(host: str, port: int) -> None:
    """Raise PortTaken if another server has the port. granian would silently share it."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # Otherwise a port whose last connections are still closing would count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        other = port + 1 if port < 65_535 else 8000
        raise PortTaken(
            f"can't listen on {host}:{port} ({error.strerror}); stop what uses it, or set another, as in PORT={other}"
        ) from error


def serve(with_worker: bool) -> None:
    """Serve until a signal has stopped everything."""
    companion = Companion() if with_worker else None
    server = build_server(lambda: start_threads(companion))
    server.on_startup(lambda: hang_up(server))
    try:
        server.serve(target_loader=load_application, wrap_loader=False)
    finally:
        if companion:
            companion.stop()


def start_threads(companion: threading.Thread | None) -> None:
    """Start the launcher's threads, after the web workers have forked: a lock that a thread holds during a fork stays
    locked in the child.

    (A thread that called /livez was loading OpenSSL during the fork. Then the first password check in the worker hung.)
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
        http=HTTPModes.http1,  # bodies are limited by connection, and requests of HTTP/2 share one
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_MS, max_buffer_size=HEAD_BYTES),
        backpressure=count_connections(),
        log_level=LogLevels.error,  # it would log its start, and warn of many threads
        log_access=False,  # config.middleware writes the request lines
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        drain_seconds=settings.DRAIN_SECONDS,
        on_forked=on_forked,
    )


def load_application() -> Any:
    """Load the WSGI application. It runs in a web worker after the fork.

    The launcher gets the terminal's signals (setpgrp); the worker ends if the launcher is gone.
    """
    os.setpgrp()
    signal.signal(SIGNAL, DRAIN.begin)
    # The worker has inherited the launcher's handler, with which SIGTERM wouldn't stop it while it loads.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    affinity.settle()
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        refuse_inherited_pools()
        from config.serving.held import hold_streams  # noqa: PLC0415 (they load the apps; the launcher must not)
        from config.serving.unread import UnreadAnswers  # noqa: PLC0415
        from config.wsgi import application  # noqa: PLC0415

        KEEPER.begin(limit_api())
        hold_streams()
    except ImproperlyConfigured as error:
        stop_listener()
        sys.exit(f"tenfold: {error}")
    return Draining(UnreadAnswers(application))


def end_with_parent() -> None:
    """End this web worker when the launcher ends. Otherwise the workers of a killed launcher would keep the port."""
    if parent := multiprocessing.parent_process():
        parent.join()
        while True:  # the first signal may come too early, while the launcher's own handler is still set
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)


def hang_up(server: Supervisor) -> None:
    """Let a closed terminal (SIGHUP) stop the server. granian would reload."""
    signal.signal(signal.SIGHUP, server.signal_handler_interrupt)


def find_address() -> str:
    """The server's URL for a browser on this machine. (0.0.0.0 and :: mean all addresses, so they can't be opened.)"""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)  # noqa: S104 (read, not bound)
    return write_origin(host, settings.PORT)


def announce() -> None:
    """Print a line as soon as the server answers, for people and scripts that wait for it."""
    url = find_address()
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{url}/livez", timeout=2):  # noqa: S310 (our own address)
                break
        except urllib.error.HTTPError:
            break  # an error is an answer too, for example if ALLOWED_HOSTS doesn't have this name
        except OSError:
            threading.Event().wait(0.1)
    print(f"Tenfold serves on {url} (Ctrl-C stops it)", flush=True)


class Companion(threading.Thread):
    """The background worker of `--with-worker`: started, started again if it fails, and stopped with the server."""

    def __init__(self) -> None:
        super().__init__(name="companion", daemon=True)
        self.stopping = threading.Event()
        self.process: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()

    def run(self) -> None:
        while process := self.spawn():
            code = process.wait()
            if not self.stopping.wait(1):
                print(f"tenfold: the worker ended with code {code}, and starts again", file=sys.stderr, flush=True)

    def spawn(self) -> subprocess.Popen[bytes] | None:
        """Start a worker; None if the server is stopping."""
        command = [sys.executable, str(MANAGE), "work", "--parent", str(os.getpid())]
        with self.lock:
            if self.stopping.is_set():
                return None
            # In its own process group: so Ctrl-C reaches only the launcher, which stops all in the right order.
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
        if self.ident:  # the thread was started
            self.join()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        main(sys.argv[1:])
    except (ImproperlyConfigured, PortTaken) as error:
        sys.exit(f"tenfold: {error}")
