"""Periodic work: each chore that an app registered runs at its period, whatever becomes of the others."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from config.api.jobs.chores import CHORES, Chore, register_chore
from config.api.models import ChoreRun
from config.worker import Heartbeat
from tests.together import run_together

HOUR = timedelta(hours=1)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The chores that ran; of those that are registered the test's own alone."""
    monkeypatch.setattr("config.worker.CHORES", chores := dict[str, Chore]())
    monkeypatch.setattr("config.api.jobs.chores.CHORES", chores)
    return []


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heart closes its own after each write, and here it would be the test's, with the transaction."""
    monkeypatch.setattr(
        "config.worker.connection", SimpleNamespace(close=lambda: None, close_if_unusable_or_obsolete=lambda: None)
    )


def note(ran: list[str], name: str) -> Callable[[], None]:
    return lambda: ran.append(name)


@pytest.mark.django_db
def test_a_chore_runs_at_each_beat_and_one_with_a_period_once(ran: list[str]) -> None:
    register_chore("sweep", note(ran, "sweep"))
    register_chore("clean", note(ran, "clean"), every=HOUR)
    for heart in (Heartbeat(), Heartbeat()):  # two workers
        heart.run_chores()
    assert ran == ["sweep", "clean", "sweep"]


@pytest.mark.django_db
def test_a_chore_is_due_again_once_its_period_is_over(ran: list[str]) -> None:
    register_chore("clean", note(ran, "clean"), every=HOUR)
    Heartbeat().run_chores()
    ChoreRun.objects.update(began_at=Now() - timedelta(minutes=59))
    Heartbeat().run_chores()
    assert ran == ["clean"]
    ChoreRun.objects.update(began_at=Now() - HOUR)
    Heartbeat().run_chores()
    assert ran == ["clean", "clean"]


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_at_once_one_runs_a_chore_with_a_period() -> None:
    ran: list[str] = []
    chore = Chore("clean", note(ran, "clean"), HOUR)
    run_together([chore.run_if_due] * 8)
    assert ran == ["clean"]


@pytest.mark.django_db
@pytest.mark.parametrize("every", [None, HOUR])
def test_a_chore_that_fails_is_logged_stops_no_other_and_is_tried_again(
    every: timedelta | None, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        ran.append("clean")
        raise OperationalError("away") if len(ran) < 3 else ValueError("broken")

    register_chore("clean", fail, every)
    register_chore("sweep", note(ran, "sweep"))
    heart = Heartbeat()
    for _ in range(2):
        heart.run_chores()
    assert ran == ["clean", "sweep", "clean", "sweep"]
    said = [record.getMessage() for record in caplog.records if record.name == "tenfold.worker"]
    assert said == ["The worker can't clean: away", "The worker can't clean: broken"]


@pytest.mark.django_db
def test_a_registered_chore_with_nothing_to_do_works(caplog: pytest.LogCaptureFixture) -> None:
    ChoreRun.objects.all().delete()
    Heartbeat().run_chores()
    assert not [record for record in caplog.records if record.name == "tenfold.worker"]
    assert {run.name for run in ChoreRun.objects.all()} == {name for name, chore in CHORES.items() if chore.every}
