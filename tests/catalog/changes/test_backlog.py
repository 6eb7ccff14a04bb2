"""Many changes at once: their writer numbers them at its end, and no read works them off."""

import threading
import time
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from catalog.changes import log
from catalog.changes.log import FOLLOWED_AT_ONCE, count_waiting, find_backlog, follow_changes, number_all, read_lag
from catalog.models import Brand, Change
from catalog.seeding.fill import fill_catalogue
from config.api.freshness import leases
from config.api.freshness.leases import Freshness, LogState, RefreshAhead
from tests.catalog.test_every_door import import_lines

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="on SQLite a change is numbered as it is written"),
]


def make_brands(number: int) -> None:
    Brand.objects.bulk_create(Brand(name=f"B{n}", slug=f"b{n}") for n in range(number))


def test_a_read_numbers_few_changes_and_leaves_a_backlog() -> None:
    make_brands(FOLLOWED_AT_ONCE + 1)
    assert follow_changes(0) is None
    assert count_waiting() == FOLLOWED_AT_ONCE + 1
    number_all()
    make_brands(0)
    Brand.objects.filter(slug="b1").update(name="New")
    assert follow_changes(0)
    assert count_waiting() == 0


def test_a_look_reads_no_change_that_it_has_seen() -> None:
    make_brands(300)
    number_all()
    newest = Change.objects.values_list("position", flat=True).first()
    with connection.cursor() as cursor:
        # A log that isn't analyzed yet is read so.
        cursor.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off")
        counts, changes = (
            read_buffers(cursor, f"SELECT * FROM catalog_follow_{name}({newest}, 100)")
            for name in ("counts", "changes")
        )
    assert counts - changes < 5, "catalog_follow_counts() reads only what catalog_follow_changes() does"


def read_buffers(cursor: Any, sql: str) -> int:
    """The pages that a second run of it reads. The first one also reads what the planner needs."""
    for _ in range(2):
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}")
        plan = cursor.fetchone()[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"])


def test_a_seed_numbers_its_changes_at_its_end() -> None:
    list(fill_catalogue(1, 3))
    assert count_waiting() == 0


def test_an_import_numbers_its_changes_at_its_end() -> None:
    assert not import_lines("sku,title,price\nA,Lamp,1\n", "file.csv").errors
    assert count_waiting() == 0


def test_a_bulk_write_numbers_its_changes_at_its_commit(
    staff: APIClient, django_capture_on_commit_callbacks: Any
) -> None:
    body = {"mode": "create", "items": [{"sku": f"A{n}", "title": "T", "price": "1"} for n in range(3)]}
    with django_capture_on_commit_callbacks(execute=True):
        staff.post("/api/v1/products/bulk/", body)
        assert count_waiting() > 0
    assert count_waiting() == 0


def test_operators_are_told_of_a_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not list(find_backlog())
    make_brands(FOLLOWED_AT_ONCE + 1)
    [(detail, remedy)] = find_backlog()
    assert detail.startswith(f"{FOLLOWED_AT_ONCE + 1} changes wait")
    assert "make worker" in remedy
    assert read_lag()["change_feed_waiting",] == FOLLOWED_AT_ONCE + 1
    monkeypatch.setattr(log, "MOST_COUNTED", 500)
    assert count_waiting() == 500


def test_no_request_looks_again_at_once_and_a_thread_works_the_backlog_off(monkeypatch: pytest.MonkeyPatch) -> None:
    freshness, looks, batches = Freshness(), list[str](), list[str]()
    monkeypatch.setattr(leases, "REST", 0.0)

    def look(after: int) -> LogState | None:
        looks.append(threading.current_thread().name)
        return LogState("e", 1, frozenset(), 1) if len(batches) == 3 else None

    def number() -> bool:
        batches.append(threading.current_thread().name)
        return len(batches) < 3

    freshness.follow_log(look, (), number)
    freshness.refresh_ahead = RefreshAhead(freshness)
    assert [freshness.read() for _ in range(100)] == [None] * 100
    assert len(looks) == 1
    end = time.monotonic() + 10
    while freshness.read() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert batches == ["refresh-ahead"] * 3
    assert freshness.read()
