"""Read replicas, each test on a real primary and a real streaming replica of it.

The replica is stopped from replaying (`pg_wal_replay_pause`), killed, or left alone while the primary falls.
"""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import pytest

from config.api.database.replicas import WAIT_SECONDS
from tests.clusters import Cluster
from tests.launching import copy_tables, launch_server, run_command
from tests.proxies import Fault
from tests.services import PostgresServer

# Their tables are copied from the tests' own database.
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        not os.environ["DATABASE_URL"].startswith("postgres"), reason="streaming replicas are PostgreSQL's"
    ),
]

PRODUCTS = "/api/v1/products/?fields=id,title&ordering=created_at&page_size=1"


@pytest.fixture(scope="module")
def cluster(django_db_setup: None) -> Iterator[Cluster]:
    with Cluster(copy_tables) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[str]:
    variables = {"DATABASE_URL": cluster.url, "DATABASE_REPLICA_URLS": cluster.replica.url, "CACHE": "off"}
    with launch_server(**variables) as (url, _):
        yield url


@pytest.fixture(scope="module")
def caching_server(cluster: Cluster) -> Iterator[str]:
    """It answers from a cache what it may."""
    variables = {"DATABASE_URL": cluster.url, "DATABASE_REPLICA_URLS": cluster.replica.url}
    with launch_server(**variables, REDIS_URL=os.environ["REDIS_URL"]) as (url, _):
        yield url


@pytest.fixture(params=["server", "caching_server"])
def any_server(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@contextmanager
def connect(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


@contextmanager
def replica_paused(cluster: Cluster) -> Iterator[None]:
    """The replica takes the log and applies none of it."""
    with connect(cluster.replica) as line:
        line.execute("SELECT pg_wal_replay_pause()")
        try:
            yield
        finally:
            line.execute("SELECT pg_wal_replay_resume()")


def fetch(url: str, **headers: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return json.load(answer)


def read_title(server: str, **headers: str) -> str:
    title: str = fetch(server + PRODUCTS, **headers)["results"][0]["title"]
    return title


def rename(cluster: Cluster, title: str) -> int:
    """The first product's title, by whatever program; the primary's position afterwards."""
    with connect(cluster.primary) as line:
        first = "(SELECT id FROM catalog_product ORDER BY created_at, id LIMIT 1)"
        line.execute(f"UPDATE catalog_product SET title = %s WHERE id = {first}", [title])
        row = line.execute("SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint").fetchone()
        assert row
        return int(row[0])


def count_reads(server: PostgresServer) -> int:
    """How many statements have read products there."""
    return (server.folder / "log").read_text().count('FROM "catalog_product"')


def wait_until_it_answers(server: PostgresServer) -> None:
    """It listens before it has read its log."""
    end = time.monotonic() + 20
    while True:
        try:
            return psycopg.connect(server.url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < end
            time.sleep(0.05)  # a poll of another server; nothing tells us


def wait_until_caught_up(cluster: Cluster) -> None:
    with connect(cluster.primary) as primary, connect(cluster.replica) as replica:
        target = primary.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
        end = time.monotonic() + 20
        while (row := replica.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", target).fetchone()) and not row[
            0
        ]:
            assert time.monotonic() < end, "the replica doesn't follow"
            time.sleep(0.02)  # a poll of another server; nothing tells us
    time.sleep(1.1)  # PAUSE_SECONDS, after which a server asks a replica again that lagged


@pytest.mark.parametrize(
    "address",
    [
        PRODUCTS,
        "/api/v1/products/?page=1&count=exact&page_size=1",
        "/api/v1/products/?search=candle&page_size=1",
        "/api/v1/products/{first}/",
    ],
    ids=["page", "count", "search", "row"],
)
def test_reads_go_to_the_replica(address: str, cluster: Cluster, server: str) -> None:
    wait_until_caught_up(cluster)
    # Its number isn't 1: the tests' own database, whose sequences are copied, has had products.
    url = server + address.format(first=fetch(server + PRODUCTS)["results"][0]["id"])
    fetch(url)
    here, there = count_reads(cluster.primary), count_reads(cluster.replica)
    for _ in range(20):
        fetch(url)
    assert count_reads(cluster.replica) >= there + 20
    assert count_reads(cluster.primary) == here


def test_nobody_reads_what_is_older_than_an_acknowledged_write(cluster: Cluster, any_server: str) -> None:
    with replica_paused(cluster):
        for number in range(3):
            position = rename(cluster, f"Written {number}")
            time.sleep(0.1)  # CACHE_LEASE_MS and more: who writes past Tenfold isn't kept waiting until it's over
            assert read_title(any_server) == f"Written {number}"
            assert read_title(any_server, **{"X-Min-Version": str(position)}) == f"Written {number}"
    wait_until_caught_up(cluster)
    assert read_title(any_server) == "Written 2"


def export_titles(cluster: Cluster, tmp_path: Path) -> list[str]:
    target = tmp_path / "products.ndjson"
    command = ("export", "products", "--format", "ndjson", "--output", str(target))
    variables = {"DATABASE_URL": cluster.url, "DATABASE_REPLICA_URLS": cluster.replica.url}
    done = run_command("manage.py", *command, **variables)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    return [line["title"] for line in lines if "_end" not in line]


def test_an_export_reads_the_replica(cluster: Cluster, tmp_path: Path) -> None:
    wait_until_caught_up(cluster)
    here, there = count_reads(cluster.primary), count_reads(cluster.replica)
    assert len(export_titles(cluster, tmp_path)) == 20
    assert count_reads(cluster.replica) >= there + 1
    assert count_reads(cluster.primary) == here


def test_an_export_has_what_was_acknowledged_before_it(cluster: Cluster, tmp_path: Path) -> None:
    with replica_paused(cluster):
        rename(cluster, "Exported late")
        assert "Exported late" in export_titles(cluster, tmp_path)
    wait_until_caught_up(cluster)


def time_reads(server: str, title: str) -> float:
    """The median of twenty, in seconds."""
    seconds = []
    for _ in range(20):
        began = time.monotonic()
        assert read_title(server) == title
        seconds.append(time.monotonic() - began)
    return median(seconds)


def test_a_lagging_replica_is_waited_for_once_a_second_and_not_by_each_read(cluster: Cluster, server: str) -> None:
    rename(cluster, "Fresh")
    wait_until_caught_up(cluster)
    fresh = time_reads(server, "Fresh")
    with replica_paused(cluster):
        rename(cluster, "Lagging")
        # Each of the server's threads may find out for itself.
        assert time_reads(server, "Lagging") < fresh + WAIT_SECONDS * 0.8
    wait_until_caught_up(cluster)


def test_a_replica_that_fell_is_left_out(cluster: Cluster, server: str) -> None:
    wait_until_caught_up(cluster)
    read_title(server)
    cluster.replica.stop(signal.SIGQUIT)
    try:
        assert {read_title(server) for _ in range(10)} == {read_title(server)}
    finally:
        cluster.replica.start()
    wait_until_it_answers(cluster.replica)
    wait_until_caught_up(cluster)
    there = count_reads(cluster.replica)
    for _ in range(5):
        read_title(server)
    assert count_reads(cluster.replica) >= there + 5


def test_what_takes_too_long_on_a_replica_isn_t_tried_on_the_primary(cluster: Cluster) -> None:
    variables = {
        "DATABASE_URL": cluster.url,
        "DATABASE_REPLICA_URLS": cluster.replica.url,
        "STATEMENT_TIMEOUT_MS": "300",
        "CACHE": "off",
    }
    wait_until_caught_up(cluster)
    with launch_server(**variables) as (url, _):
        fetch(url + PRODUCTS)
        here = count_reads(cluster.primary)
        # Replaying this lock, the replica makes its readers wait for it.
        with connect(cluster.primary) as owner, owner.transaction():
            owner.execute("LOCK TABLE catalog_product IN ACCESS EXCLUSIVE MODE")
            owner.execute("SELECT pg_switch_wal()")
            time.sleep(0.3)  # until the replica has the lock; it shows it nowhere to those who don't want it
            with pytest.raises(urllib.error.HTTPError) as caught:
                fetch(url + PRODUCTS)
            with caught.value as error:
                assert error.code in (503, 504)
        assert count_reads(cluster.primary) == here


def test_replicas_answer_while_the_primary_is_away(cluster: Cluster, any_server: str) -> None:
    position = rename(cluster, "Before the fall")
    wait_until_caught_up(cluster)
    with cluster.proxy.failing(Fault.REFUSED):
        for _ in range(10):
            assert read_title(any_server) == "Before the fall"
            assert read_title(any_server, **{"X-Min-Version": str(position)}) == "Before the fall"
        # What no replica has yet is not answered with something older.
        with pytest.raises(urllib.error.HTTPError) as caught:
            read_title(any_server, **{"X-Min-Version": str(position + 10**9)})
        with caught.value as error:
            assert (error.code, json.load(error)["code"]) == (503, "service_unavailable")
            assert int(error.headers["Retry-After"]) > 0
    time.sleep(1.1)  # PAUSE_SECONDS
    rename(cluster, "After it")
    assert read_title(any_server) == "After it"


def test_a_replica_that_lagged_answers_all_the_same_once_the_primary_falls(cluster: Cluster, server: str) -> None:
    rename(cluster, "Kept by both")
    wait_until_caught_up(cluster)
    with replica_paused(cluster):
        rename(cluster, "Lost with the primary")
        for _ in range(8):
            assert read_title(server) == "Lost with the primary"
        with cluster.proxy.failing(Fault.REFUSED):
            # With a cookie past the gate, which would hand the first failure on to a second try.
            assert {read_title(server, Cookie="theme=dark") for _ in range(8)} == {"Kept by both"}
    wait_until_caught_up(cluster)


def test_a_lost_connection_does_not_mean_that_the_server_is_away(cluster: Cluster, server: str) -> None:
    """Every connection to the primary breaks at once, and it is there again before anybody asks."""
    wait_until_caught_up(cluster)
    with replica_paused(cluster):
        rename(cluster, "There all the time")
        for _ in range(8):
            read_title(server)
        cluster.proxy.drop_connections()
        assert {read_title(server) for _ in range(12)} == {"There all the time"}
    wait_until_caught_up(cluster)


def test_a_version_that_is_none_is_refused(server: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        read_title(server, **{"X-Min-Version": "newest"})
    with caught.value as error:
        assert (error.code, json.load(error)["code"]) == (400, "invalid_header")


def test_a_replica_beside_sqlite_stops_the_start(tmp_path: Any) -> None:
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path}/x.sqlite3", "DATABASE_REPLICA_URLS": "postgres://a@b/c"}
    done = run_command("manage.py", "check", **environment)
    assert done.returncode != 0
    assert "DATABASE_REPLICA_URLS: expected postgres://" in done.stderr
