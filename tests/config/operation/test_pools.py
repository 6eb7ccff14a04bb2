"""Connections to PostgreSQL under several threads: reused, bounded, and a full pool is a quick 503."""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from tests.launching import copy_tables, launch_server

# Their tables are copied from the tests' own database.
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        not os.environ["DATABASE_URL"].startswith("postgres"), reason="connections are counted on PostgreSQL"
    ),
]

THREADS = 4


@pytest.fixture(scope="module")
def database(django_db_setup: None) -> Iterator[str]:
    """A database with all tables, of this module alone: its connections are the server's."""
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as control:
        control.execute("DROP DATABASE IF EXISTS pool_tests")
        control.execute("CREATE DATABASE pool_tests")
        url = f"{server.rpartition('/')[0]}/pool_tests"
        copy_tables(url)
        yield url
        control.execute("DROP DATABASE pool_tests WITH (FORCE)")


@pytest.fixture
def control() -> Iterator[psycopg.Connection[tuple[int]]]:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        yield connection


def list_backends(control: psycopg.Connection[tuple[int]]) -> set[int]:
    rows = control.execute("SELECT pid FROM pg_stat_activity WHERE datname = 'pool_tests'")
    return {pid for (pid,) in rows}


def read_status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def ask_together(url: str, requests: int) -> set[int]:
    with ThreadPoolExecutor(8) as callers:
        return set(callers.map(read_status, [f"{url}/api/v1/products/"] * requests))


@pytest.mark.parametrize(
    ("variables", "most"), [({}, THREADS), ({"DATABASE_POOL": "2"}, 2)], ids=["persistent connections", "pool of 2"]
)
def test_requests_of_several_threads_reuse_connections(
    database: str, control: psycopg.Connection[tuple[int]], variables: dict[str, str], most: int
) -> None:
    with launch_server(DATABASE_URL=database, CACHE="off", WEB_THREADS=str(THREADS), **variables) as (url, launched):
        assert ask_together(url, 40) == {200}
        first = list_backends(control)
        assert ask_together(url, 40) == {200}
        # A connection a request would be 40 new backends, one after the other.
        both = first | list_backends(control)
        assert 1 <= len(both) <= most
        assert launched.stop() == 0
    assert not any('"level": "ERROR"' in line for line in launched.lines)


@contextmanager
def lock_products(database: str) -> Iterator[None]:
    """While it lasts, a request for products holds its connection."""
    with psycopg.connect(database) as owner:
        owner.execute("LOCK TABLE catalog_product IN ACCESS EXCLUSIVE MODE")
        yield
        owner.rollback()


def wait_until_blocked(control: psycopg.Connection[tuple[int]]) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'pool_tests' AND wait_event_type = 'Lock'"
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if (row := control.execute(waiting).fetchone()) and row[0]:
            return
        time.sleep(0.02)  # a poll of another process's state; nothing tells us
    raise AssertionError("no request waits for the lock")


def test_a_full_pool_is_a_503_in_bounded_time(database: str, control: psycopg.Connection[tuple[int]]) -> None:
    variables = {"DATABASE_POOL": "1", "DATABASE_POOL_TIMEOUT": "1", "CACHE": "off", "WEB_THREADS": "4"}
    with launch_server(DATABASE_URL=database, **variables) as (url, _), ThreadPoolExecutor(1) as caller:
        with lock_products(database):
            holder = caller.submit(read_status, f"{url}/api/v1/products/")
            wait_until_blocked(control)
            began = time.monotonic()
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"{url}/api/v1/brands/", timeout=30)
            seconds = time.monotonic() - began
            with caught.value as error:
                problem = json.load(error)
        # Who held the connection goes on as if nothing had been.
        assert holder.result(timeout=30) == 200
    assert (error.code, problem["status"]) == (503, 503)
    assert error.headers["Content-Type"] == "application/problem+json"
    assert int(error.headers["Retry-After"]) > 0
    assert 0.9 <= seconds < 5
