"""Leases on the change log where something hangs, fails, or happens in between."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection

from catalog.changes.log import follow_changes
from config.api.database.lending import Loans
from config.api.freshness.leases import Freshness, LogState, RefreshAhead
from tests.factories import make_product
from tests.gates import Ask, make_token, warm
from tests.together import run_together

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCTS = "/api/v1/products/"


@contextmanager
def occupy(work: Any) -> Iterator[None]:
    """`work(busy, done)` in a thread of its own, from `busy` on until the block ends."""
    busy, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=work, args=(busy, done))
    thread.start()
    assert busy.wait(10)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_log_that_hangs_blocks_only_one_thread() -> None:
    """All of a server's threads would be many: then nobody answers /livez."""
    freshness = Freshness()

    def look(busy: threading.Event, done: threading.Event) -> None:
        freshness.follow = lambda after: busy.set() or (done.wait(10) and None)
        freshness.read()

    with occupy(look):
        began = time.monotonic()
        assert freshness.read() is None
        assert time.monotonic() - began < 2


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connection to lose")
def test_a_read_whose_connection_was_lost_is_repeated_at_once() -> None:
    assert follow_changes(0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()

    def end_backend() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        connection.close()

    run_together([end_backend])
    assert follow_changes(0)


def test_a_database_that_refuses_is_asked_once_per_read(monkeypatch: pytest.MonkeyPatch) -> None:
    connects = []

    def refuse() -> None:
        connects.append("refused")
        raise OperationalError("sorry, too many clients already")

    connection.close()
    with monkeypatch.context() as patch:
        patch.setattr(connection, "connect", refuse)
        with pytest.raises(OperationalError):
            follow_changes(0)
    assert connects == ["refused"]


def test_an_error_comes_instead_of_a_wait_if_all_connections_hang() -> None:
    loans = Loans(1)

    def hold(busy: threading.Event, done: threading.Event) -> None:
        with loans.lend():
            busy.set()
            done.wait(10)

    with occupy(hold), pytest.raises(OperationalError), loans.lend():
        pass
    with loans.lend():
        pass


def test_a_state_read_before_a_commit_is_not_trusted_after_it(settings: Any) -> None:
    settings.CACHE_LEASE_MS = 1000
    freshness, positions = Freshness(), [1, 2]

    def follow(after: int) -> LogState:
        position = positions.pop(0)
        if position == 1:
            freshness.end()  # somebody commits after the log was read, and before its answer is here
        return LogState("epoch", position, frozenset(), 0)

    freshness.follow = follow
    heard = [freshness.read() for _ in range(3)]
    assert [lease and lease.position for lease in heard] == [1, 2, 2]


def follow_with(looks: list[str]) -> Any:
    """A log that notes which thread looks, and stands where it was looked at so often."""

    def follow(after: int) -> LogState:
        looks.append(threading.current_thread().name)
        return LogState("epoch", len(looks), frozenset(), 0)

    return follow


def read_late(freshness: Freshness) -> list[int]:
    """The positions that readers are given in the last quarter of a lease."""
    time.sleep(0.8)  # of a lease of one second
    return [lease.position for _ in range(5) if (lease := freshness.read())]


def wait_for_looks(looks: list[str], number: int) -> None:
    end = time.monotonic() + 10
    while len(looks) < number and time.monotonic() < end:
        time.sleep(0.01)  # the thread tells nobody


@pytest.mark.slow
def test_a_lease_is_renewed_ahead_and_no_reader_waits_for_it(settings: Any) -> None:
    settings.CACHE_LEASE_MS = 1000
    freshness, looks = Freshness(), list[str]()
    freshness.follow, freshness.refresh_ahead = follow_with(looks), RefreshAhead(freshness)
    freshness.read()
    assert set(read_late(freshness)) <= {1, 2}  # the lease that is there, or the next
    wait_for_looks(looks, 2)
    time.sleep(0.3)  # past the end of the first lease
    assert freshness.read()
    assert looks == [threading.current_thread().name, "refresh-ahead"]


@pytest.mark.slow
def test_a_failed_read_ahead_is_repeated_by_the_next_reader(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.CACHE_LEASE_MS = 1000
    freshness, looks = Freshness(), list[str]()
    freshness.follow, freshness.refresh_ahead = follow_with(looks), RefreshAhead(freshness)
    freshness.read()
    freshness.follow = lambda after: looks.append("fails") or 1 / 0  # type: ignore[func-returns-value]  # that is the use
    read_late(freshness)
    wait_for_looks(looks, 2)
    freshness.follow = follow_with(looks)
    time.sleep(0.3)  # past the end of the lease
    assert freshness.read()
    read_late(freshness)
    wait_for_looks(looks, 4)
    here = threading.current_thread().name
    assert looks == [here, "fails", here, "refresh-ahead"]
    assert "division by zero" in caplog.text


def test_a_database_error_at_the_gate_is_answered_by_django(
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_product(title="Sold")
    caller = make_token("one@example.com")

    def fail(self: Any, view: Any) -> None:
        raise OperationalError("gone in between")

    monkeypatch.setattr("config.api.gates.callers.Known.find_audience", fail)
    assert warm(ask, f"{PRODUCTS}?fields=title", **caller)[0] == 200


def test_after_an_hour_without_a_read_everything_counts_as_changed(settings: Any) -> None:
    """What changed meanwhile may be gone from the log by now."""
    settings.CACHE_LEASE_MS = 0
    freshness, state = Freshness(), LogState("here", 7, frozenset(), 0)
    freshness.follow = lambda after: state
    lease = freshness.read()
    assert lease
    assert lease.covers(lease.epoch, 7, ["catalog_brand"])
    state = LogState("here", 8, frozenset({"catalog_image"}), 0)
    lease = freshness.read()
    assert lease
    assert lease.covers(lease.epoch, 7, ["catalog_brand"])
    freshness.last = replace(freshness.last, until=freshness.last.until - 4000)
    lease = freshness.read()
    assert lease
    assert not lease.covers(lease.epoch, 7, ["catalog_brand"])


def test_requests_continue_without_a_failing_log_and_each_kind_of_failure_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Answers come from the database as long as it gives any."""
    failures = [KeyError("supplier"), InterfaceError("closed"), OperationalError("gone"), OperationalError("gone")]
    freshness = Freshness()

    def follow(after: int) -> LogState:
        if failures:
            raise failures.pop()
        return LogState("epoch", 1, frozenset(), 0)

    freshness.follow = follow
    assert [freshness.read() is None for _ in range(5)] == [True, True, True, True, False]
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["gone", "closed", "'supplier'"]
    failures.append(OperationalError("gone"))
    freshness.end()
    assert freshness.read() is None
    assert caplog.text.count("gone") == 2, "the log had answered in between"


def test_an_invalid_state_gives_no_lease() -> None:
    freshness = Freshness()
    freshness.follow = lambda after: LogState("epoch", None, frozenset(), 0)  # type: ignore[arg-type]  # that is the case
    assert freshness.read() is None
