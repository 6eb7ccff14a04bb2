"""The primary is killed under load, its replica promoted, and the address switched: nothing acknowledged is lost.

`synchronous_standby_names` is set, as config/README.md advises.
"""

import json
import signal
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from tests.clusters import Cluster
from tests.figures import note_figures
from tests.launching import launch_server, run_command
from tests.services import missing_binaries

pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.skipif(bool(missing_binaries()), reason="PostgreSQL is not on this machine"),
]

LOAD_SECONDS, AWAY_SECONDS, BACK_SECONDS = 3.0, 3.0, 5.0
READERS, WRITERS = 2, 2


@dataclass
class Load:
    """Readers and writers that never stop; what was answered, and what was acknowledged."""

    server: str
    headers: dict[str, str]
    stop: threading.Event = field(default_factory=threading.Event)
    reads: Counter[int] = field(default_factory=Counter)
    writes: Counter[int] = field(default_factory=Counter)
    # By product: the newest number that was acknowledged.
    acknowledged: dict[int, int] = field(default_factory=dict)
    # What was read though something newer was acknowledged: product, that, this.
    stale: list[tuple[int, int, int]] = field(default_factory=list)
    waits: list[str | None] = field(default_factory=list)
    written_at: list[float] = field(default_factory=list)

    def ask(self, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = self.headers | {"Content-Type": "application/json"} if body else {}
        request = urllib.request.Request(self.server + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 503:
                    self.waits.append(error.headers["Retry-After"])
                return error.code, json.load(error)

    def read(self, product: int) -> None:
        while not self.stop.is_set():
            least = self.acknowledged.get(product, 0)
            status, row = self.ask(f"/api/v1/products/{product}/?fields=title")
            self.reads[status] += 1
            if status == 200 and (found := int(row["title"])) < least:
                self.stale.append((product, least, found))

    def write(self, product: int) -> None:
        number = 1
        while not self.stop.is_set():
            number += 1
            status, _ = self.ask(f"/api/v1/products/{product}/", "PATCH", {"title": str(number)})
            self.writes[status] += 1
            if status == 200:
                self.acknowledged[product] = number
                self.written_at.append(time.monotonic())

    @contextmanager
    def running(self) -> Iterator[None]:
        work: list[tuple[Callable[[int], None], int]] = [(self.write, product) for product in range(1, WRITERS + 1)]
        work += [(self.read, product) for product in range(1, READERS + 1)]
        threads = [threading.Thread(target=task, args=(product,)) for task, product in work]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(timeout=60)


def make_token(cluster: Cluster) -> str:
    script = (
        "from accounts.models import AuthToken, User;"
        "user = User.objects.create_superuser('root@example.com', 'root');"
        "print(AuthToken.objects.create(user)[1])"
    )
    done = run_command("manage.py", "shell", "-v0", "-c", script, DATABASE_URL=cluster.primary.url)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def wait_for_replica(cluster: Cluster) -> None:
    """From here on a commit is acknowledged once the replica has it too."""
    with psycopg.connect(cluster.primary.url, autocommit=True) as line:
        line.execute("UPDATE catalog_product SET title = '1'")
        line.execute("ALTER SYSTEM SET synchronous_standby_names = 'replica'")
        line.execute("SELECT pg_reload_conf()")
        end = time.monotonic() + 20
        while not line.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone():
            assert time.monotonic() < end, "the replica isn't synchronous"
            time.sleep(0.05)  # a poll of another server; nothing tells us


def test_a_promoted_replica_has_every_acknowledged_write_and_reads_never_stop() -> None:
    with Cluster() as cluster:
        headers = {"Authorization": f"Token {make_token(cluster)}"}
        wait_for_replica(cluster)
        variables = {"DATABASE_URL": cluster.url, "DATABASE_REPLICA_URLS": cluster.replica.url, "WEB_THREADS": "8"}
        with launch_server(**variables, LOG_LEVEL="ERROR", RATE_LIMIT_ANON="off", RATE_LIMIT_TOKEN="off") as (url, _):
            load = Load(url, headers)
            with load.running():
                time.sleep(LOAD_SECONDS)
                assert load.acknowledged, load.writes
                reads_before = load.reads.total()
                cluster.primary.stop(signal.SIGQUIT)
                fell = time.monotonic()
                time.sleep(AWAY_SECONDS)
                reads_away = load.reads.total() - reads_before
                cluster.replica.promote()
                cluster.proxy.switch(cluster.replica.port)
                switched = time.monotonic()
                time.sleep(BACK_SECONDS + LOAD_SECONDS)
            with psycopg.connect(cluster.replica.url) as line:
                kept = dict(line.execute("SELECT id, title::int FROM catalog_product WHERE id <= %s", [WRITERS]))
    first_back = min(moment for moment in load.written_at if moment > fell)
    lost = sum(kept[product] < number for product, number in load.acknowledged.items())
    note_figures(
        "primary killed, replica promoted", reads=load.reads.total(), failed=load.reads.total() - load.reads[200],
        reads_meanwhile=reads_away, stale=len(load.stale), lost=lost, back_after_s=first_back - switched,
    )  # fmt: skip
    assert set(load.reads) == {200}, "reads are served throughout"
    assert reads_away > 10 * AWAY_SECONDS
    assert set(load.writes) <= {200, 503}, "a write that can't be done is a 503, never a 500"
    assert all(load.waits), "each 503 says when to come back"
    assert first_back - switched <= BACK_SECONDS
    assert len(load.acknowledged) == WRITERS
    assert lost == 0
    assert not load.stale
