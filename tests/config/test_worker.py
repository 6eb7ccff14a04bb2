"""A worker forks for each job, beside a thread that writes its heartbeat."""

import signal
import threading
from functools import partial
from pathlib import Path
from typing import Any

import django_rq
import pytest
from django.conf import settings
from django.db import OperationalError, connection
from rq import Queue, Worker

from config.api.database.leases import STOP
from config.worker import Heartbeat, JobWorker
from tests.config.test_env import read_settings


@pytest.mark.django_db
def test_no_job_is_forked_while_the_heartbeat_is_in_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on, order = threading.Event(), threading.Event(), list[str]()

    def beat() -> None:
        began.set()
        go_on.wait(10)
        order.append("beat")

    monkeypatch.setattr(Worker, "fork_work_horse", lambda *arguments: order.append("fork"))
    worker = JobWorker.__new__(JobWorker)  # all that it forks for is patched away
    threads = [
        threading.Thread(target=Heartbeat().write, args=("beat", beat)),
        threading.Thread(target=worker.fork_work_horse, args=(None, None)),
    ]
    threads[0].start()
    assert began.wait(10)
    threads[1].start()
    threads[1].join(0.2)  # long enough to fork, were it allowed
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert order == ["beat", "fork"]


@pytest.mark.django_db
def test_what_fails_at_each_beat_is_said_once_until_it_works_again(caplog: pytest.LogCaptureFixture) -> None:
    heart = Heartbeat()

    def fail(reason: str) -> None:
        raise OperationalError(reason)

    with caplog.at_level("INFO", logger="tenfold.worker"):
        for reason in ("away", "away", "full", "", "full"):
            heart.write("beat", partial(fail, reason) if reason else lambda: None)
    said = [record.getMessage() for record in caplog.records if record.name == "tenfold.worker"]
    away, full = (f"The worker can't beat: {reason}" for reason in ("away", "full"))
    assert said == [away, full, "The worker can beat again", full]


def test_a_job_that_is_told_to_end_itself_hands_its_work_back() -> None:
    # systemd signals each process of a service, and RQ's way is to die of it.
    before = signal.getsignal(signal.SIGTERM)
    try:
        JobWorker.__new__(JobWorker).setup_work_horse_signals()
        assert signal.getsignal(signal.SIGTERM) == STOP.begin
    finally:
        signal.signal(signal.SIGTERM, before)


class Trap:
    """Makes a file as soon as it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.slow
@pytest.mark.skipif(not settings.REDIS_URL, reason="without Redis tasks wait in the database")
@pytest.mark.parametrize("meta", [{}, {"backend_name": "default"}])
@pytest.mark.parametrize("broken", [{}, {"timeout": "x"}, {"created_at": "x"}])
def test_a_pickled_job_is_not_run_and_ends_no_worker(
    meta: dict[str, str], broken: dict[str, str], tmp_path: Path
) -> None:
    queue = django_rq.get_queue("default")
    # Whoever can write to Redis; rq's own queue pickles.
    pickled = Queue("default", connection=queue.connection)
    job = pickled.enqueue("builtins.repr", Trap(tmp_path / "run"), meta=meta)
    for name, value in broken.items():
        queue.connection.hset(job.key, name, value)
    worker = JobWorker(
        [queue], connection=queue.connection, job_class="django_tasks_rq.backend.Job", serializer=settings.RQ_SERIALIZER
    )
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        worker.work(burst=True, with_scheduler=False)
        # The next one looks for jobs that were taken and not done.
        assert queue.connection.lrange(queue.intermediate_queue.key, 0, -1) == []
        worker.run_maintenance_tasks()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert not (tmp_path / "run").exists()
    assert queue.count == 0


@pytest.mark.django_db(transaction=True)
def test_a_heartbeat_keeps_its_connection_until_something_fails() -> None:
    heart, seen = Heartbeat(), list[Any]()

    def beat() -> None:
        heart.beat()
        seen.append(connection.connection)

    def fail() -> None:
        raise OperationalError("gone")

    for what in (beat, beat, fail, beat):
        heart.write("beat", what)
    assert seen[0] is seen[1]
    assert seen[1] is not seen[2]


def test_the_same_apps_are_installed_with_and_without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    apps = [read_settings(monkeypatch, REDIS_URL=url)["INSTALLED_APPS"] for url in ("", "redis://127.0.0.1:1/0")]
    assert apps[0] == apps[1]
    assert "django_rq" in apps[0]
