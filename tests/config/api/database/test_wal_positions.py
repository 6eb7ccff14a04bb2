"""How far a database is: after a write further than before it, and on a replica as far as it has come."""

import os
import time
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connections, transaction

from config.api.database.wal_positions import SEEN, WRITTEN, parse_position, read_position, read_written_position
from config.api.problems.errors import InvalidHeader
from tests.factories import make_brand
from tests.services import PostgresServer, ReplicaServer

needs_postgres = pytest.mark.skipif(
    not os.environ["DATABASE_URL"].startswith("postgres"), reason="the write-ahead log is PostgreSQL's"
)


@pytest.mark.django_db(transaction=True)
def test_a_write_moves_the_position_once_it_is_committed() -> None:
    before = read_position()
    with transaction.atomic():
        make_brand()
    written = read_written_position()
    assert written > before
    make_brand()
    assert read_written_position() > written
    # Further than the first write now, so what is read from here on holds it.
    assert read_position() >= written


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(settings.DATABASES["default"]["ENGINE"].endswith("postgresql"), reason="SQLite's own way")
def test_on_sqlite_a_position_is_seen_once_it_is_written() -> None:
    before = read_position()
    make_brand()
    assert read_position() == read_written_position() > before


@needs_postgres
@pytest.mark.django_db(transaction=True)
def test_a_commit_that_nobody_sees_yet_isn_t_counted_as_seen() -> None:
    """The commit is in the log, and waits for a replica that never answers: until then no snapshot shows it."""
    waits, is_seen = Event(), Event()

    def write() -> None:
        try:
            # The server takes its settings anew a moment after it is told to.
            while not waits.is_set():
                make_brand()
        finally:
            is_seen.set()
            connections.close_all()

    writer = Thread(target=write)
    with psycopg.connect(os.environ["SUPERUSER_URL"], autocommit=True) as control:
        try:
            control.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            control.execute("SELECT pg_reload_conf()")
            writer.start()
            wait_for_sync(control)
            waits.set()
            label = read_position()
            assert not is_seen.is_set()
        finally:
            waits.set()
            control.execute("ALTER SYSTEM RESET synchronous_standby_names")
            control.execute("SELECT pg_reload_conf()")
            writer.join(timeout=20)
    # What a query under that label showed lacks the row, so it must not pass for as new as the write.
    assert label < read_written_position()


def wait_for_sync(control: psycopg.Connection[Any]) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    end = time.monotonic() + 20
    while not (row := control.execute(waiting).fetchone()) or not row[0]:
        assert time.monotonic() < end, "no commit waits for a replica"
        time.sleep(0.02)  # a poll of another process's state; nothing tells us


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[PostgresServer, ReplicaServer]]:
    primary = PostgresServer()
    try:
        replica = ReplicaServer(primary)
        yield primary, replica
        replica.remove()
    finally:
        primary.remove()


def ask(url: str, sql: str) -> int:
    with psycopg.connect(url, autocommit=True) as line:
        row = line.execute(sql).fetchone()
        assert row
        return int(row[0])


@needs_postgres
def test_a_replica_reaches_a_write_when_it_has_replayed_it(servers: tuple[PostgresServer, ReplicaServer]) -> None:
    primary, replica = servers
    with psycopg.connect(replica.url, autocommit=True) as line, psycopg.connect(primary.url, autocommit=True) as writer:
        line.execute("SELECT pg_wal_replay_pause()")
        writer.execute("CREATE TABLE written (id int)")
        written = ask(primary.url, WRITTEN)
        time.sleep(0.2)  # what would be replayed, were it not paused
        assert ask(replica.url, SEEN) < written
        line.execute("SELECT pg_wal_replay_resume()")
        end = time.monotonic() + 20
        while ask(replica.url, SEEN) < written:
            assert time.monotonic() < end, "the replica never came so far"
            time.sleep(0.02)  # a poll of another server; nothing tells us
        line.execute("SELECT * FROM written")


@pytest.mark.parametrize("text", ["", " 1", "-1", "1.5", "٣", "0x10", "9" * 20, str(2**63), "16/B374D848"])
def test_what_was_no_version_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidHeader, match="X-Min-Version"):
        parse_position(text)


@pytest.mark.parametrize("position", [0, 1, 2**63 - 1])
def test_a_version_is_read_as_it_was_written(position: int) -> None:
    assert parse_position(str(position)) == position
