"""Parts of a running shop fall, under load: what must hold then, and what it measured. `make test-faults`."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import psycopg
import pytest

from config.process.capacity import MOST_WAITING, WAIT_SECONDS
from tests.benchmarks.processes import read_cpu
from tests.clients import add_up, clients, percentile
from tests.config.serving.test_stopping import roll
from tests.figures import note_figures
from tests.launching import ROOT, Launched, build_environment, launch_server
from tests.services import PostgresServer, RedisServer, free_port, missing_binaries
from tests.shop import Shop, Writers, writers

pytestmark = pytest.mark.faults
needs_services = pytest.mark.skipif(bool(missing_binaries()), reason=f"missing {', '.join(missing_binaries())}")

KILLS, RESTARTS = 20, 5
ROLLED = int(os.environ.get("ROLLED", "100000"))
OVERLOAD_SECONDS = float(os.environ.get("OVERLOAD_SECONDS", "60"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    # As in production: what is acknowledged is on disk.
    server = PostgresServer("-c", "fsync=on", "-c", "full_page_writes=on")
    yield server
    server.remove()


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def shop(postgres: PostgresServer, redis: RedisServer) -> Shop:
    shop = Shop(postgres.url, redis.url)
    shop.open()
    return shop


@pytest.fixture
def embedded(tmp_path: Path) -> Shop:
    shop = Shop(f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    shop.open()
    return shop


def list_workers(launched: Launched) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(launched.process.pid)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


@needs_services
def test_a_killed_web_worker_fails_only_its_own_requests(shop: Shop) -> None:
    before, _ = shop.audit()
    with launch_server(**shop.environment, WEB_WORKERS="2", PORT=str(port := free_port())) as (_, launched):
        with writers(shop, port, 8) as told:
            for _ in range(KILLS):
                time.sleep(random.uniform(0.3, 1.5))
                os.kill(random.choice(list_workers(launched)), signal.SIGKILL)
            time.sleep(3)
        assert len(list_workers(launched)) == 2
    orders, wrong = shop.audit()
    note_figures("web worker killed", kills=KILLS, orders=len(told.acknowledged), failed=told.statuses[0])
    # Each of 8 clients had one request under way, and one that met its closed connection.
    assert told.statuses[0] <= KILLS * 8
    assert set(told.statuses) <= {201, 0}
    assert told.acknowledged <= orders
    assert wrong == 0
    assert len(told.acknowledged) > KILLS
    assert len(orders - before) - len(told.acknowledged) <= told.statuses[0]


@needs_services
def test_a_rolling_restart_fails_none_of_many(shop: Shop) -> None:
    began = time.monotonic()
    restarts, whole = 0, None
    total, failures, statuses = 0, 0, set[int]()
    while total < ROLLED:
        whole = roll(shop.database, restarts=3, least=1)
        restarts += 3
        total += sum(whole.statuses.values())
        failures += len(whole.failures)
        statuses |= set(whole.statuses)
        assert time.monotonic() - began < 600, f"{total} requests in ten minutes"
    note_figures("rolling restart", requests=total, restarts=restarts, failed=failures)
    assert failures == 0
    assert statuses == {200}


PAGE = "/api/v1/products/?page_size=100&expand=brand,category,images,variants"


# More than may wait and work at once: the rest is refused, and comes again as the others do.
CROWD = 2 * MOST_WAITING + 100


@needs_services
def test_twice_the_load_does_not_lower_the_successful_throughput(shop: Shop, postgres: PostgresServer) -> None:
    with launch_server(**shop.environment, CACHE="off", PORT=str(port := free_port())) as (_, launched):
        roots = (launched.process.pid, postgres.process.pid)
        run_load(port, 5, roots, number=8)  # plans are made, connections opened
        peak = run_load(port, OVERLOAD_SECONDS / 4, roots, number=8)
        load = run_load(port, OVERLOAD_SECONDS, roots, number=CROWD, every=CROWD / (2 * peak.good))
    # Who asks twice as often takes processor from the server, on whose two cores they live.
    share = load.per_cpu / peak.per_cpu
    note_figures(
        "2x the load", peak=peak.good, asked=load.asked, good=load.good, good_share=load.good / peak.good, share=share,
        page_p99_ms=load.page * 1000, livez_p99_ms=load.livez * 1000, livez_p99_ms_peak=peak.livez * 1000,
    )  # fmt: skip
    assert load.asked >= 1.8 * peak.good
    # 0.9 is the aim; a minute has 1.0, and the twelve seconds of a short run 0.8 to 1.0 on a busy machine.
    assert share >= 0.8
    # Whoever waits longer for a slot is refused.
    assert load.page < WAIT_SECONDS + 3
    assert load.livez < 0.05


class Load(NamedTuple):
    """Pages a second, asked and answered 200, and those for each second of the server's and PostgreSQL's processor;
    99th percentiles in seconds, of all pages and of /livez meanwhile.
    """

    asked: float
    good: float
    per_cpu: float
    page: float
    livez: float


def run_load(port: int, seconds: float, roots: Sequence[int], number: int, every: float = 0) -> Load:
    before = sum(map(read_cpu, roots))
    with clients(1, port, "/livez", pause=0.02) as probes, clients(number, port, PAGE, every=every) as walks:
        time.sleep(seconds)
    used = sum(map(read_cpu, roots)) - before
    whole, probe = add_up(walks), add_up(probes)
    assert set(probe.statuses) == {200}
    assert set(whole.statuses) <= {200, 503}, whole.statuses
    asked, good = whole.statuses.total() / seconds, whole.statuses[200] / seconds
    return Load(
        asked, good, whole.statuses[200] / used, percentile(whole.seconds, 0.99), percentile(probe.seconds, 0.99)
    )


@needs_services
def test_a_database_that_restarts_at_once_is_never_a_500(shop: Shop, postgres: PostgresServer) -> None:
    slowest = 0.0
    with (
        launch_server(**shop.environment, PORT=str(port := free_port())) as (url, _),
        writers(shop, port, 4) as told,
        clients(4, port, "/api/v1/products/?page_size=5", pause=0.01) as walks,
    ):
        for _ in range(RESTARTS):
            time.sleep(2)
            postgres.stop(signal.SIGQUIT)  # immediate: no checkpoint, no goodbye
            time.sleep(0.5)
            postgres.start()
            wait_until_recovered(postgres)
            slowest = max(slowest, wait_until_ordered(told))
    whole = add_up(walks)
    orders, wrong = shop.audit()
    note_figures(
        "PostgreSQL restarted", restarts=RESTARTS, back_after_s=slowest, orders=len(told.acknowledged),
        refused=told.statuses[503] + whole.statuses[503], lost=len(told.acknowledged - orders),
    )  # fmt: skip
    assert set(told.statuses) <= {201, 503}, (told.statuses, told.bodies[:2])
    assert set(whole.statuses) <= {200, 503}, whole.statuses
    assert told.without_wait == 0
    assert slowest < 5
    assert told.acknowledged <= orders
    assert wrong == 0
    assert url


def wait_until_recovered(postgres: PostgresServer) -> None:
    """Until PostgreSQL itself has replayed its log and takes connections."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            psycopg.connect(postgres.url).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("it never came back")


def wait_until_ordered(told: Writers) -> float:
    """Seconds until the next order is acknowledged."""
    began, had = time.monotonic(), len(told.acknowledged)
    while len(told.acknowledged) == had:
        assert time.monotonic() - began < 30
        time.sleep(0.01)
    return time.monotonic() - began


def test_sqlite_keeps_what_was_acknowledged_when_all_is_killed(embedded: Shop) -> None:
    acknowledged: set[str] = set()
    for _ in range(3):
        with launch_server(**embedded.environment, WEB_THREADS="16", PORT=str(port := free_port())) as (_, launched):
            with writers(embedded, port, 16) as told:
                time.sleep(random.uniform(2, 4))
                for worker in list_workers(launched):
                    os.kill(worker, signal.SIGKILL)
                launched.process.kill()
            acknowledged |= told.acknowledged
            assert set(told.statuses) <= {201, 0}, (told.statuses, told.bodies[:2])
    with sqlite3.connect(embedded.database.removeprefix("sqlite:///")) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    file.close()
    orders, wrong = embedded.audit()
    note_figures("SQLite killed", writers=16, kills=3, orders=len(acknowledged), lost=len(acknowledged - orders))
    assert acknowledged <= orders
    assert wrong == 0


@contextmanager
def serving(shop: Shop, *wrapper: str, stdout: int | IO[bytes] = subprocess.DEVNULL, **variables: str) -> Iterator[int]:
    """The port of a server whose output nobody reads, started by `wrapper`."""
    port = free_port()
    process = subprocess.Popen(
        [*wrapper, sys.executable, "-m", "config.server"],
        cwd=ROOT,
        env=build_environment(**shop.environment | variables | {"PORT": str(port)}),
        stdout=stdout,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_alive(port)
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def wait_until_alive(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("it never answered")


def test_a_log_that_cannot_be_written_fails_no_request(embedded: Shop) -> None:
    """Standard output is a full disk."""
    with (
        open("/dev/full", "wb", buffering=0) as full,
        serving(embedded, stdout=full, LOG_LEVEL="INFO") as port,
        writers(embedded, port, 2) as told,
        clients(2, port, "/api/v1/products/?page_size=5") as walks,
    ):
        time.sleep(3)
    whole = add_up(walks)
    note_figures("log disk full", reads=whole.statuses[200], writes=told.statuses[201], failed=len(whole.failures))
    assert set(whole.statuses) == {200}
    assert set(told.statuses) == {201}


def test_a_full_disk_refuses_writes_and_fails_no_read(embedded: Shop) -> None:
    """The database's own: SQLite's files may grow no further."""
    limit = Path(embedded.database.removeprefix("sqlite:///")).stat().st_size
    # As a full disk does it: a write fails, with EFBIG where the disk's own error is ENOSPC.
    with (
        serving(embedded, "prlimit", f"--fsize={limit}:{limit}") as port,
        writers(embedded, port, 4) as told,
        clients(2, port, "/api/v1/products/?page_size=5") as walks,
    ):
        time.sleep(10)
    whole = add_up(walks)
    note_figures(
        "disk full", reads=whole.statuses.total(), failed=len(whole.failures),
        refused_writes=told.statuses[503], written=told.statuses[201],
    )  # fmt: skip
    assert set(whole.statuses) == {200}
    assert set(told.statuses) <= {201, 503}
    assert told.statuses[503], "the disk never was full"
    assert told.without_wait == 0
    orders, wrong = embedded.audit()
    assert told.acknowledged <= orders
    assert wrong == 0


def test_the_check_of_this_file_notices_a_lost_order(embedded: Shop) -> None:
    """An audit that can't fail would prove nothing."""
    embedded.run(
        "shell", "-v0", "-c", "from catalog.models import Stock; Stock.objects.filter(pk=1).update(reserved=3)"
    )
    assert embedded.audit()[1] == 1
