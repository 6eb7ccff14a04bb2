"""A job on its way and at its end: how far it is, and what each way of being stopped leaves behind."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from config.api.database.leases import STOP, ClaimedRow
from config.api.jobs.files import write_file
from config.api.jobs.running import GREATEST_CLAIMS
from exports import tasks
from exports.jobs import publishing
from exports.models import ExportJob, ExportPart
from tests.exports.conftest import URL, ask_for, download, list_files, make_many, post, run_job

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("small_parts")
def test_a_job_tells_how_far_it_is(caller: APIClient) -> None:
    make_many(9)
    answer = post(caller)
    job_id = answer.json()["id"]
    assert (answer.status_code, answer.json()["status"], answer.json()["percent"]) == (201, "queued", 0)
    assert answer["Location"].endswith(f"{URL}{job_id}/")
    tasks.advance_export.call(job_id)
    tasks.advance_export.call(job_id)
    state = caller.get(f"{URL}{job_id}/").json()
    assert (state["status"], state["rows_done"], state["rows_total"], state["percent"]) == ("running", 3, 9, 33)
    assert state["bytes"] > 0
    assert state["seconds_left"] is not None
    assert run_job(job_id).status == "ready"
    state = caller.get(f"{URL}{job_id}/").json()
    assert (state["percent"], state["seconds_left"], state["error"]) == (100, 0, "")
    assert state["expires_at"] > state["finished_at"]


@pytest.mark.usefixtures("small_parts")
def test_a_canceled_job_leaves_nothing(caller: APIClient, files: Path) -> None:
    make_many(9)
    job_id = post(caller).json()["id"]
    for _ in range(2):
        tasks.advance_export.call(job_id)
    assert list_files(files)
    assert caller.delete(f"{URL}{job_id}/").status_code == 204
    tasks.advance_export.call(job_id)
    assert caller.get(f"{URL}{job_id}/").json()["status"] == "canceled"
    assert list_files(files) == []
    assert not ExportPart.objects.exists()
    answer = caller.get(f"{URL}{job_id}/file/")
    assert (answer.status_code, answer.json()["code"]) == (409, "export_not_ready")


def test_a_job_that_is_over_is_deleted_with_its_file(caller: APIClient, files: Path) -> None:
    job = ask_for(caller)
    assert caller.delete(f"{URL}{job.pk}/").status_code == 204
    assert caller.get(f"{URL}{job.pk}/").status_code == 404
    assert list_files(files) == []


def test_a_worker_that_lost_its_part_leaves_nothing(
    caller: APIClient, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_many(5)
    job_id = post(caller).json()["id"]
    tasks.advance_export.call(job_id)
    read, canceled = ExportPart.write, []

    def cancel_first(part: ExportPart, **values: Any) -> None:
        canceled.append(caller.delete(f"{URL}{job_id}/").status_code)
        read(part, **values)

    monkeypatch.setattr(ExportPart, "write", cancel_first)
    tasks.advance_export.call(job_id)
    assert canceled == [204]
    assert list_files(files) == []
    assert ExportJob.objects.get().status == "canceled"


def test_a_publisher_that_lost_the_job_publishes_nothing(
    caller: APIClient, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_many(2)
    job_id = post(caller).json()["id"]
    for _ in range(2):
        tasks.advance_export.call(job_id)
    write, files_seen = ExportJob.write, []

    def take_over(job: ExportJob, **values: Any) -> None:
        monkeypatch.setattr(ExportJob, "write", write)
        ExportJob.objects.filter(pk=job_id).update(leased_until=None)
        files_seen.append(run_job(job_id).file)
        write(job, **values)

    monkeypatch.setattr(ExportJob, "write", take_over)
    tasks.advance_export.call(job_id)
    job = ExportJob.objects.get()
    assert (job.status, [job.file]) == ("ready", files_seen)
    assert list_files(files) == [str(job_id), job.file]
    assert hashlib.sha256(download(caller, job)).hexdigest() == job.sha256


@pytest.mark.parametrize("format_", ["csv", "xlsx", "parquet"])
@pytest.mark.parametrize("steps", [1, 2])
def test_a_worker_that_is_to_stop_gives_its_step_back(
    steps: int, format_: str, caller: APIClient, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A part, and the publication.
    make_many(2)
    job_id = post(caller, format=format_).json()["id"]
    for _ in range(steps):
        tasks.advance_export.call(job_id)
    before = list_files(files)
    with monkeypatch.context() as patch:
        patch.setattr(STOP, "shared", bytearray(1))
        STOP.begin()
        tasks.advance_export.call(job_id)
    assert list_files(files) == before
    held = [*ExportPart.objects.all(), ExportJob.objects.get()][steps - 1]
    assert (held.leased_until, held.fence) == (None, steps)
    assert run_job(job_id).status == "ready"


@pytest.mark.slow
def test_many_stops_in_the_same_step_are_no_reason_to_fail(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    make_many(1)
    job_id = post(caller).json()["id"]
    tasks.advance_export.call(job_id)
    with monkeypatch.context() as patch:
        patch.setattr(STOP, "shared", bytearray(1))
        STOP.begin()
        for _ in range(GREATEST_CLAIMS + 1):
            tasks.advance_export.call(job_id)
    assert ExportPart.objects.get().fence > GREATEST_CLAIMS
    assert run_job(job_id).status == "ready"


def test_a_spreadsheet_stops_before_its_rows_are_read(
    caller: APIClient, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It writes its file only at the end, which of a great table is minutes after the signal.
    make_many(2)
    job_id = post(caller, format="xlsx").json()["id"]
    for _ in range(2):
        tasks.advance_export.call(job_id)
    read, read_on = publishing.read_file, []

    def read_and_note(*arguments: Any) -> Any:
        for chunk in read(*arguments):
            yield chunk
            read_on.append(chunk)

    monkeypatch.setattr(publishing, "read_file", read_and_note)
    monkeypatch.setattr(STOP, "shared", bytearray(1))
    STOP.begin()
    tasks.advance_export.call(job_id)
    assert (read_on, ExportJob.objects.get().leased_until) == ([], None)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_job_canceled_at_the_last_moment_leaves_nothing(
    steps: int, caller: APIClient, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # After the last write of a part, and of the whole file, which a storage may complete only when it is closed.
    make_many(2)
    job_id = post(caller).json()["id"]
    for _ in range(steps):
        tasks.advance_export.call(job_id)
    release = ClaimedRow.release

    def cancel_first(row: Any, **values: Any) -> None:
        caller.delete(f"{URL}{job_id}/")
        with write_file(f"{job_id}/{Path(values['file']).name}") as file:
            file.write(b"completed late")
        release(row, **values)

    monkeypatch.setattr(ClaimedRow, "release", cancel_first)
    tasks.advance_export.call(job_id)
    assert ExportJob.objects.get().status == "canceled"
    assert list_files(files) == []


def test_a_full_disk_is_a_failure_with_a_reason(
    caller: APIClient, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_many(5)

    def fill(*args: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("config.api.jobs.files.os.fsync", fill)
    job = ask_for(caller)
    assert (job.status, job.error) == ("failed", "Its files can't be written or read: No space left on device.")
    assert list_files(files) == []


def test_an_owner_who_may_no_longer_export_gets_nothing(caller: APIClient) -> None:
    job_id = post(caller).json()["id"]
    Group.objects.get(name="Export partner").user_set.clear()
    job = run_job(job_id)
    assert (job.status, job.error) == ("failed", "Its owner may not export any more.")


def test_a_step_that_kills_every_worker_ends_the_job(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    make_many(1)
    job_id = post(caller).json()["id"]
    tasks.advance_export.call(job_id)

    def die(part: ExportPart) -> None:
        part.release()  # as a lease that lapsed

    monkeypatch.setattr(tasks, "write_part", die)
    job = run_job(job_id)
    assert job.status == "failed"
    assert "part 0 of export" in job.error
