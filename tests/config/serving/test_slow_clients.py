"""Clients that send or read a byte now and then: behind the shipped nginx a thousand, without it twenty."""

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.clients import add_up, clients, percentile, walk
from tests.figures import note_figures
from tests.launching import launch_server, run_command
from tests.nginx import run_nginx

pytestmark = pytest.mark.faults
needs_nginx = pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx on this machine (Debian: nginx-light)")

PAGE = "/api/v1/products/?page_size=20"
LARGE = "/api/v1/products/?page_size=200&expand=brand,category,images,variants"
ROUNDS, ROUND_SECONDS = 3, 2.0
ESTABLISHED = "01"  # of Linux's /proc/net/tcp

# A byte every so often, of a request that never ends; and a reader who never takes a byte of a large answer.
BEGINNINGS = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    b"POST /api/v1/auth/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n{",
    f"GET {LARGE} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode(),
)


class SlowClients:
    """So many at once, a third of each kind; whoever is thrown out comes again."""

    def __init__(self, port: int, number: int) -> None:
        self.port, self.number = port, number
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.sockets: dict[int, socket.socket] = {}

    def __enter__(self) -> "SlowClients":
        self.fill()
        self.thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.over.set()
        self.thread.join()
        for client in self.sockets.values():
            client.close()

    def fill(self) -> None:
        for index in set(range(self.number)) - set(self.sockets):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.settimeout(5)
            with contextlib.suppress(OSError):
                client.connect(("127.0.0.1", self.port))
                client.sendall(BEGINNINGS[index % len(BEGINNINGS)])
                self.sockets[index] = client
                continue
            client.close()

    def run(self) -> None:
        while not self.over.wait(0.5):
            for index, client in list(self.sockets.items()):
                try:
                    if index % len(BEGINNINGS) < 2:
                        client.send(b"x")
                except OSError:
                    self.sockets.pop(index).close()
            self.fill()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('database') / 'shop.sqlite3'}"
    for command in (("migrate", "-v0"), ("seed", "--products", "1000", "--json")):
        done = run_command("manage.py", *command, DATABASE_URL=url)
        assert done.returncode == 0, done.stderr
    return url


@pytest.fixture
def server(database: str) -> Iterator[int]:
    variables = {"DATABASE_URL": database, "LOG_LEVEL": "WARNING", "RATE_LIMIT_ANON": "off", "RATE_LIMIT_LOGIN": "off"}
    with launch_server(**variables, CACHE="off") as (url, _):
        yield int(url.rpartition(":")[2])


def measure(port: int) -> float:
    """The 99th percentile of honest clients' requests, none of which may fail."""
    with clients(4, port, PAGE, pause=0.01) as walks:
        time.sleep(ROUND_SECONDS)
    whole = add_up(walks)
    assert set(whole.statuses) == {200}, (whole.statuses, whole.failures[:3])
    return percentile(whole.seconds, 0.99)


def wait_until_calm(port: int) -> None:
    """Some hundred readers have each asked for a large page at once, which is work, however slowly they read it."""
    end, calm = time.monotonic() + 60, 0
    while calm < 20:
        assert time.monotonic() < end
        began, ends = time.monotonic(), iter([False, True])
        seen = walk(port, PAGE, lambda ends=ends: next(ends))
        calm = calm + 1 if set(seen.statuses) == {200} and time.monotonic() - began < 0.2 else 0


def count_connections(port: int) -> int:
    """Those that a server on this port has at the moment."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == ESTABLISHED for row in rows)


def compare(port: int, number: int, server: int) -> tuple[float, float, int]:
    """Medians of rounds that alternate, alone and beside so many slow clients; the server's connections with them."""
    alone, beside, held = [], [], []
    for _ in range(ROUNDS):
        alone.append(measure(port))
        with SlowClients(port, number) as slow:
            wait_until_calm(port)
            beside.append(measure(port))
            assert len(slow.sockets) > number * 0.8
            held.append(count_connections(server))
    return median(alone), median(beside), max(held)


def test_twenty_slow_clients_leave_the_server_to_the_others(server: int) -> None:
    alone, beside, _ = compare(server, 20, server)
    note_figures("20 slow clients, no proxy", p99_ms_alone=alone * 1000, p99_ms=beside * 1000, ratio=beside / alone)
    # The machine's own noise is milliseconds; a client that waits for a slow one waits for seconds.
    assert beside <= max(2 * alone, alone + 0.05)


@needs_nginx
def test_a_thousand_slow_clients_stay_at_the_proxy(server: int) -> None:
    with run_nginx(server) as port:
        alone, beside, held = compare(port, 1000, server)
    note_figures(
        "1,000 slow clients, nginx", p99_ms_alone=alone * 1000, p99_ms=beside * 1000, ratio=beside / alone,
        connections=held,
    )  # fmt: skip
    # Those that each process of nginx keeps, and a few at work: nothing slow stands behind it.
    assert held < 64 * (os.cpu_count() or 1) + 20
    assert beside <= max(1.5 * alone, alone + 0.05)
