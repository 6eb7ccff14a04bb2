"""GET /livez and /readyz: what a probe hears when a part is missing, late or down."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from config.api.models import Worker
from config.operation import health
from config.operation.health import Probe
from config.process.draining import DRAIN


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="box:1", host="box", pid=1)


@pytest.fixture(autouse=True)
def same_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The question is asked on the test's own connection, which alone sees the test's rows."""
    monkeypatch.setattr(Probe, "ask", lambda self: self.look())


def get_ready(client: Client) -> tuple[int, dict[str, Any]]:
    response = client.get("/readyz")
    assert response.headers["Cache-Control"] == "no-store"
    return response.status_code, response.json()


def test_a_living_process_touches_no_database(client: Client) -> None:
    # Without the db fixture a query would fail the test.
    response = client.get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["Cache-Control"] == "no-store"


def test_all_is_well(client: Client, worker: Worker) -> None:
    expected = {"status": "ok", "database": "ok", "migrations": "ok", "cache": "ok", "worker": "ok"}
    assert get_ready(client) == (200, expected)


def test_a_probe_costs_four_queries(
    client: Client, worker: Worker, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    MigrationRecorder(connection).has_table()
    # 1. SELECT 1; 2. and 3. the migrations, with whether there are any; 4. a worker that was heard of
    with django_assert_num_queries(4):
        client.get("/readyz")


@pytest.mark.django_db
def test_no_worker_is_degraded(client: Client) -> None:
    status, report = get_ready(client)
    assert (status, report["status"]) == (200, "degraded")
    assert report["worker"] == "no heartbeat for 15 s: run make worker"


def test_a_silent_worker_is_degraded(client: Client, worker: Worker) -> None:
    Worker.objects.update(beat_at=timezone.now() - timedelta(seconds=16))
    assert get_ready(client)[1]["status"] == "degraded"


def test_a_cache_that_is_down_is_degraded(client: Client, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(health.cache, "set", refuse)
    status, report = get_ready(client)
    assert (status, report["status"], report["cache"]) == (200, "degraded", "down (ConnectionRefusedError)")


def test_a_migration_that_is_missing_is_unavailable(client: Client, worker: Worker) -> None:
    MigrationRecorder(connection).record_unapplied("api", "0001_initial")
    status, report = get_ready(client)
    assert (status, report["status"]) == (503, "unavailable")
    assert report["migrations"] == "1 not applied: run manage.py migrate"


@pytest.mark.django_db
def test_a_database_that_is_down_is_unavailable(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise OperationalError("connection to server at 10.0.0.1, user shop, failed")

    monkeypatch.setattr(health, "check_database", refuse)
    status, report = get_ready(client)
    assert (status, report["status"], report["database"]) == (503, "unavailable", "down (OperationalError)")
    # Its dependants weren't asked, and no host or user is told.
    assert set(report) == {"status", "database", "cache"}


def test_a_database_that_hangs_is_answered_in_bounded_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real thread
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.2)
    asked, hang = [], threading.Event()

    def look_around() -> dict[str, str]:
        asked.append(1)
        hang.wait(10)
        return {"database": "ok"}

    monkeypatch.setattr(health, "PROBE", Probe(look_around))
    for _ in range(3):
        status, report = get_ready(client)
        assert (status, report["database"]) == (503, "no answer within 0.2 s")
    # While the first question hangs there is no second one.
    assert len(asked) == 1
    hang.set()
    assert get_ready(client)[0] == 200


def test_a_flood_of_probes_shares_one_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real thread
    monkeypatch.setattr(health, "REUSE_SECONDS", 30)
    looks: list[int] = []
    probe = Probe(lambda: looks.append(1) or len(looks))
    assert [probe.ask() for _ in range(5)] == [1] * 5
    monkeypatch.setattr(health, "REUSE_SECONDS", 0)
    assert probe.ask() == 2


def test_to_be_told_to_stop_is_no_error(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # A proxy asks twice a second meanwhile, and whoever is on call is woken by an ERROR.
    monkeypatch.setattr(DRAIN, "has_begun", True)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "stopping"})
    assert not [record for record in caplog.records if record.name == "django.request"]


def test_only_get_and_head_are_answered(client: Client) -> None:
    assert client.post("/livez").status_code == 405
