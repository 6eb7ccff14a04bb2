"""An import on its way: stopped, lost, canceled or cut off, it goes on where it was, or ends with a reason."""

import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError
from rest_framework.test import APIClient

from accounts.models import User
from catalog.imports import jobs, runs, tasks
from catalog.imports.tasks import advance_import
from catalog.models import ImportJob, Product
from config.api.database.leases import STOP, LeaseLost
from config.api.jobs import running
from tests.catalog.conftest import ROWS, URL, list_files, run_import, send_body
from tests.catalog.imports.test_costs import make_rows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_step_a_task")]


class Stop(BaseException):
    """As a signal stops a process: nothing may catch it."""


def stop_after(batches: int) -> Any:
    """import_batch, which dies once so many batches are in."""
    real, done = runs.import_batch, iter(range(batches))

    def import_some(*batch: Any, **how: Any) -> Any:
        outcome = real(*batch, **how)
        if next(done, None) is None:
            raise Stop
        return outcome

    return patch.object(runs, "import_batch", import_some)


@pytest.mark.usefixtures("small_batches")
def test_an_import_continues_after_the_last_committed_batch(caller: APIClient) -> None:
    content = make_rows(35).replace(b"S7,Lamp 7,1,", b"S7,Lamp 7,x,").replace(b"S30,", b"S3,")
    job_id = send_body(caller, content).json()["id"]
    with stop_after(2), pytest.raises(Stop):
        advance_import.call(job_id)
    half = ImportJob.objects.get(pk=job_id)
    assert (half.status, half.rows_done, Product.objects.count()) == ("running", 20, 19)
    versions = dict(Product.objects.values_list("sku", "version"))
    ImportJob.objects.filter(pk=job_id).revoke()
    with patch.object(runs, "import_batch", wraps=runs.import_batch) as written:
        job = run_import(job_id)
    # The first twenty rows are read again, and not written.
    assert [len(call.args[0]) for call in written.call_args_list] == [10, 4]
    assert (job.status, job.rows_done, Product.objects.count()) == ("ready", 35, 33)
    assert job.report["products"] == {"created": 33, "updated": 0, "unchanged": 0, "refused": 2}
    assert job.report["brands"] == {"created": 5}
    errors = list(job.errors.values_list("line", "key"))
    # The SKU that a line repeats was seen by the run that was stopped.
    assert errors == [(9, "S7"), (32, "S3")]
    assert job.errors_total == 2
    assert versions.items() <= dict(Product.objects.values_list("sku", "version")).items()


@pytest.mark.usefixtures("small_batches")
def test_a_worker_that_lost_its_lease_writes_no_batch_more(caller: APIClient) -> None:
    job_id = send_body(caller, make_rows(30)).json()["id"]
    real = runs.import_batch

    def import_late(*batch: Any, **how: Any) -> Any:
        if Product.objects.count() == 10:
            ImportJob.objects.filter(pk=job_id).revoke()
        return real(*batch, **how)

    with patch.object(runs, "import_batch", import_late):
        job = run_import(job_id)
    assert (job.status, job.rows_done, Product.objects.count()) == ("running", 10, 10)
    with pytest.raises(LeaseLost):
        ImportJob(pk=job_id, fence=0).write(rows_done=99)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(("dry_run", "kept"), [("false", 10), ("true", 0)])
def test_a_worker_that_is_to_stop_gives_its_import_back(
    dry_run: str, kept: int, caller: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = send_body(caller, make_rows(50), f"dry_run={dry_run}").json()["id"]
    real = runs.import_batch

    def import_and_stop(*batch: Any, **how: Any) -> Any:
        STOP.begin()
        return real(*batch, **how)

    with monkeypatch.context() as stopped, patch.object(running, "push_job") as pushed:
        stopped.setattr(STOP, "shared", bytearray(1))
        stopped.setattr(runs, "import_batch", import_and_stop)
        half = run_import(job_id)
    assert (half.status, half.leased_until) == ("running", None)
    # The batch that it was at, and at most the one that was read meanwhile.
    assert Product.objects.count() in (kept, 2 * kept)
    pushed.assert_called_once()
    job = run_import(job_id)
    assert (job.status, job.rows_done, job.report["products"]["created"]) == ("ready", 50, 50)


def test_an_import_that_kills_every_worker_fails_with_a_reason(caller: APIClient) -> None:
    job_id = send_body(caller, make_rows(1)).json()["id"]
    for _ in range(running.GREATEST_CLAIMS):
        with patch.object(tasks, "run_job", side_effect=Stop), pytest.raises(Stop):
            advance_import.call(job_id)
        ImportJob.objects.update(leased_until="2020-01-01T00:00:00Z")
    job = run_import(job_id)
    assert (job.status, job.error) == ("failed", f"{job} was begun {running.GREATEST_CLAIMS} times and never ended.")


@pytest.mark.usefixtures("small_batches")
def test_after_too_long_a_turn_another_task_continues(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "STEP_SECONDS", -1.0)
    job_id = send_body(caller, make_rows(25)).json()["id"]
    with patch.object(running, "push_job") as pushed:
        assert [run_import(job_id).rows_done for _ in range(3)] == [10, 20, 25]
    assert ImportJob.objects.get().claims == 0  # however many turns a file takes, no worker was lost over it
    # The third turn was the last batch's, and its own end's another.
    assert pushed.call_count == 3
    assert run_import(job_id).status == "ready"
    assert Product.objects.count() == 25


@pytest.mark.usefixtures("small_batches")
def test_a_canceled_import_stops_and_keeps_what_is_in(caller: APIClient, files: Path) -> None:
    job_id = send_body(caller, make_rows(30)).json()["id"]
    with stop_after(1), pytest.raises(Stop):
        advance_import.call(job_id)
    assert caller.delete(f"{URL}{job_id}/").status_code == 204
    job = run_import(job_id)
    assert (job.status, Product.objects.count()) == ("canceled", 10)
    assert not list_files(files)
    assert caller.delete(f"{URL}{job_id}/").status_code == 204
    assert not ImportJob.objects.exists()


def test_a_database_that_is_away_fails_no_job(caller: APIClient) -> None:
    job_id = send_body(caller, ROWS).json()["id"]
    lost = patch.object(runs, "import_batch", side_effect=OperationalError("the connection is lost"))
    with lost, pytest.raises(OperationalError):
        advance_import.call(job_id)
    # The lease goes on: it is the pause before the next try.
    assert run_import(job_id).status == "running"
    ImportJob.objects.update(leased_until="2020-01-01T00:00:00Z")
    assert run_import(job_id).status == "ready"


def test_lost_imports_are_queued_again_and_old_ones_deleted(caller: APIClient, files: Path, settings: Any) -> None:
    settings.JOB_LEASE_SECONDS = 0
    job_id = send_body(caller, ROWS).json()["id"]
    with patch.object(running, "push_job") as pushed:
        running.sweep(ImportJob)
    assert [call.args[0].pk for call in pushed.call_args_list] == [job_id]
    ImportJob.objects.update(status="failed", finished_at="2020-01-01T00:00:00Z")
    running.sweep(ImportJob)
    assert not list_files(files)
    assert not ImportJob.objects.exists()


@pytest.mark.parametrize("change", [{"is_active": False}, {"delete": True}, {"groups": []}])
def test_who_may_not_import_any_more_writes_nothing(change: dict[str, Any], caller: APIClient) -> None:
    job_id = send_body(caller, ROWS).json()["id"]
    owner = User.objects.get()
    if "delete" in change:
        owner.delete()
    elif "groups" in change:
        owner.groups.clear()
    else:
        User.objects.update(**change)
    job = run_import(job_id)
    assert (job.status, Product.objects.count()) == ("failed", 0)
    assert "may not import" in job.error


def test_a_file_that_is_gone_fails_its_job_with_a_sentence(caller: APIClient, files: Path) -> None:
    job_id = send_body(caller, ROWS).json()["id"]
    for file in list_files(files):
        file.unlink()
    job = run_import(job_id)
    assert (job.status, job.error) == ("failed", "Its files can't be written or read: No such file or directory.")


def test_a_job_is_put_back_as_often_as_it_is_lost(caller: APIClient, settings: Any) -> None:
    settings.JOB_LEASE_SECONDS = 0
    send_body(caller, ROWS)
    for _ in range(3):
        time.sleep(0.002)  # a lease of no seconds ends at the clock's next tick; nothing tells of it
        with patch.object(running, "push_job") as pushed:
            running.sweep(ImportJob)
        assert pushed.call_count == 1
