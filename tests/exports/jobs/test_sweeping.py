"""What a worker's beat does: lost jobs go on, files end in time, what a dead worker left goes."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.tasks.backends.dummy import DummyBackend
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from redis.exceptions import ConnectionError as RedisGone
from rest_framework.test import APIClient

from accounts.models import User
from config.api.jobs.files import write_file
from config.api.jobs.results import forget_tasks
from config.api.jobs.running import sweep
from config.worker import Heartbeat
from exports import tasks
from exports.jobs import planning
from exports.models import ExportJob, ExportPart
from tests.exports.conftest import ask_for, list_files, make_many, run_job

pytestmark = pytest.mark.django_db

SWEEP = partial(sweep, ExportJob)
LONG_AGO = timezone.now() - timedelta(hours=1)


def make_job(caller: APIClient, steps: int = 0) -> ExportJob:
    job_id = caller.post("/api/v1/exports/", {"resource": "products", "format": "csv"}).json()["id"]
    for _ in range(steps):
        tasks.advance_export.call(job_id)
    tasks.advance_export.get_backend().clear()
    return ExportJob.objects.get(pk=job_id)


def count_tasks() -> int:
    return len(tasks.advance_export.get_backend().results)


def test_a_job_whose_task_is_lost_is_pushed_again_once(caller: APIClient) -> None:
    job = make_job(caller)
    sweep(ExportJob)
    assert count_tasks() == 0, "its task is on its way"
    ExportJob.objects.update(pushed_at=LONG_AGO)
    sweep(ExportJob)
    sweep(ExportJob)
    assert count_tasks() == 1
    assert run_job(job.pk).status == "ready"


def test_a_part_whose_worker_died_is_written_again(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "PART_ROWS", 2)
    make_many(5)
    job = make_job(caller, steps=1)
    ExportPart.objects.filter(job=job).claim()
    ExportJob.objects.update(pushed_at=LONG_AGO)
    sweep(ExportJob)
    assert count_tasks() == 0, "somebody holds a part"
    ExportPart.objects.filter(fence=1).update(leased_until=LONG_AGO)
    sweep(ExportJob)
    assert count_tasks() == 1
    assert run_job(job.pk).rows_done == 5


def test_a_file_is_deleted_when_its_time_is_over(caller: APIClient, files: Path) -> None:
    job = ask_for(caller)
    assert job.expires_at - job.finished_at == timedelta(days=7)
    sweep(ExportJob)
    assert list_files(files)
    ExportJob.objects.update(expires_at=LONG_AGO)
    sweep(ExportJob)
    assert list_files(files) == []
    job.refresh_from_db()
    assert (job.status, job.file) == ("expired", "")


def test_what_a_worker_left_when_it_died_after_publishing_goes(caller: APIClient, files: Path) -> None:
    job = ask_for(caller)
    ExportPart.objects.create(job=job, number=0, after=0, upto=1, file=f"{job.pk}/left.part")
    with write_file(f"{job.pk}/left.part") as file:
        file.write(b"left")
    sweep(ExportJob)
    assert list_files(files) == [str(job.pk), job.file]
    assert not ExportPart.objects.exists()


def test_a_job_is_forgotten_after_a_month_and_with_its_owner(caller: APIClient, files: Path) -> None:
    old, others = ask_for(caller), ask_for(caller)
    ExportJob.objects.filter(pk=old.pk).update(finished_at=timezone.now() - timedelta(days=31))
    sweep(ExportJob)
    assert list(ExportJob.objects.values_list("pk", flat=True)) == [others.pk]
    User.objects.filter(pk=others.owner_id).delete()
    sweep(ExportJob)
    assert not ExportJob.objects.exists()
    assert list_files(files) == []


@pytest.mark.django_db(transaction=True)
def test_a_queue_that_is_away_loses_no_job_and_ends_no_beat(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise RedisGone("gone")

    monkeypatch.setattr(DummyBackend, "enqueue", fail)
    answer = caller.post("/api/v1/exports/", {"resource": "products", "format": "csv"})
    assert answer.status_code == 201
    ExportJob.objects.update(pushed_at=LONG_AGO)
    Heartbeat().write("sweep exports", SWEEP)
    monkeypatch.undo()
    ExportJob.objects.update(pushed_at=LONG_AGO)
    Heartbeat().write("sweep exports", SWEEP)
    assert count_tasks() == 1
    connection.close()


def test_a_sweep_with_nothing_to_do_costs_four_queries(django_assert_num_queries: Any) -> None:
    # 1. lost jobs 2. untidy ones 3. files whose time is over 4. jobs to forget
    with django_assert_num_queries(4):
        sweep(ExportJob)


@pytest.mark.django_db(transaction=True)
def test_a_storage_that_is_away_ends_no_beat(caller: APIClient, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask_for(caller)
    ExportJob.objects.update(expires_at=LONG_AGO)

    def fail(*args: Any) -> None:
        raise RuntimeError("away")

    monkeypatch.setattr("config.api.jobs.files.LocalFolder.listdir", fail)
    Heartbeat().write("sweep exports", SWEEP)
    monkeypatch.undo()
    assert list_files(files)
    Heartbeat().write("sweep exports", SWEEP)
    assert list_files(files) == []
    assert ExportJob.objects.get(pk=job.pk).status == "expired"


def test_tasks_of_yesterday_are_forgotten_and_waiting_ones_are_not() -> None:
    yesterday, now = timezone.now() - timedelta(days=2), timezone.now()
    for status, started in (("SUCCESSFUL", yesterday), ("RUNNING", yesterday), ("SUCCESSFUL", now), ("READY", None)):
        DBTaskResult.objects.create(
            status=status, started_at=started, args_kwargs={}, task_path="x", backend_name="default", run_after=now
        )
    forget_tasks()
    assert sorted(DBTaskResult.objects.values_list("status", flat=True)) == ["READY", "SUCCESSFUL"]
