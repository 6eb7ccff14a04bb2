"""The file of a job: whole, in pieces, joined again, by its owner or by a link that is over in an hour."""

import collections
import hashlib
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.signing import TimestampSigner
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import AuthToken, User
from config.logs import LineFormatter
from exports.jobs.links import LIFETIME
from exports.models import ExportJob
from exports.streaming.slots import SLOTS
from tests.exports.conftest import ask_for, list_files, make_many, read_body
from tests.factories import make_user
from tests.launching import find_database_url, start
from tests.services import free_port, stop_process, wait_for_port

# The bytes of a file don't depend on the database, and schemathesis asks PostgreSQL for one.
pytestmark = [pytest.mark.django_db, pytest.mark.once]

ROOT = Path(__file__).resolve().parents[3]
BODY = bytes(range(100))


@pytest.fixture
def job(caller: APIClient, files: Path) -> ExportJob:
    """A hundred bytes, each its own number."""
    found = ask_for(caller)
    (files / found.file).write_bytes(BODY)
    ExportJob.objects.update(bytes=len(BODY), sha256=hashlib.sha256(BODY).hexdigest())
    found.refresh_from_db()
    return found


# A server closes each response; what a test leaves unread would hold its slot.
SENT: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_is_held() -> Iterator[None]:
    yield
    while SENT:
        answer = SENT.pop()
        collections.deque(answer if answer.streaming else (), maxlen=0)


def fetch(caller: APIClient, job: ExportJob, **headers: str) -> Any:
    return open_url(caller, f"/api/v1/exports/{job.pk}/file/", **headers)


def open_url(caller: APIClient, url: str, **headers: str) -> Any:
    SENT.append(caller.get(url, headers=headers))
    return SENT[-1]


def test_the_whole_file_names_itself(caller: APIClient, job: ExportJob) -> None:
    answer = fetch(caller, job, **{"Accept-Encoding": "gzip", "Accept": "text/csv"})
    assert read_body(answer) == BODY
    names = ("ETag", "Content-Length", "Content-Type", "Content-Disposition", "Accept-Ranges")
    assert [answer[name] for name in names] == [
        f'"{job.sha256}"', "100", "text/csv; charset=utf-8", f'attachment; filename="products-{job.pk}.csv"', "bytes",
    ]  # fmt: skip
    assert (answer["X-Content-Type-Options"], answer["Cache-Control"]) == ("nosniff", "private, no-store")
    # Packed on the way it would be another file under the same name.
    assert not answer.has_header("Content-Encoding")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=90-", 90, 99),
        ("bytes=-5", 95, 99),
        ("bytes=-500", 0, 99),
        ("bytes=95-1000", 95, 99),
        ("BYTES=3-4", 3, 4),
    ],
)
def test_a_range_is_a_piece(asked: str, start: int, end: int, caller: APIClient, job: ExportJob) -> None:
    answer = fetch(caller, job, Range=asked)
    assert (answer.status_code, answer["Content-Range"]) == (206, f"bytes {start}-{end}/100")
    assert read_body(answer) == BODY[start : end + 1]
    assert answer["Content-Length"] == str(end + 1 - start)
    assert answer["ETag"] == f'"{job.sha256}"'


@pytest.mark.parametrize("asked", ["bytes=5-4", "bytes=-", "bytes=a-b", "rows=1-2", "bytes=0-1,5-6", "bytes=1-2-3"])
def test_what_is_no_range_gets_the_whole_file(asked: str, caller: APIClient, job: ExportJob) -> None:
    answer = fetch(caller, job, Range=asked)
    assert (answer.status_code, read_body(answer)) == (200, BODY)


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=999999999999999999-"])
def test_a_range_behind_the_end_is_refused_with_the_size(asked: str, caller: APIClient, job: ExportJob) -> None:
    answer = fetch(caller, job, Range=asked)
    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */100")
    assert answer.json()["code"] == "range_not_satisfiable"


def test_a_piece_of_another_file_is_the_whole_one(caller: APIClient, job: ExportJob) -> None:
    same, other = f'"{job.sha256}"', '"0000"'
    assert fetch(caller, job, **{"Range": "bytes=50-", "If-Range": same}).status_code == 206
    for tag in (other, f'W/"{job.sha256}"', "Sat, 21 Nov 2026 11:02:43 GMT"):
        answer = fetch(caller, job, **{"Range": "bytes=50-", "If-Range": tag})
        assert (answer.status_code, read_body(answer)) == (200, BODY), tag


def test_a_file_that_is_known_is_not_sent_again(caller: APIClient, job: ExportJob) -> None:
    answer = fetch(caller, job, **{"If-None-Match": f'"{job.sha256}"'})
    assert (answer.status_code, answer["ETag"]) == (304, f'"{job.sha256}"')


def test_head_reads_no_byte(caller: APIClient, job: ExportJob, files: Path) -> None:
    (files / job.file).unlink()
    answer = caller.head(f"/api/v1/exports/{job.pk}/file/")
    assert (answer.status_code, answer["Content-Length"], answer["ETag"]) == (200, "100", f'"{job.sha256}"')


def test_a_job_that_is_not_ready_has_no_file(caller: APIClient, job: ExportJob) -> None:
    for status, code in (("running", 409), ("failed", 409), ("expired", 410)):
        ExportJob.objects.update(status=status, error="The disk was full.")
        answer = fetch(caller, job)
        assert answer.status_code == code
    ExportJob.objects.update(status="failed")
    assert fetch(caller, job).json()["hint"] == "The disk was full."


def test_a_file_that_was_cut_on_the_disk_is_cut_on_the_way(caller: APIClient, job: ExportJob, files: Path) -> None:
    (files / job.file).write_bytes(BODY[:50])
    with pytest.raises(OSError, match="50 bytes early"):
        read_body(fetch(caller, job))


def test_as_many_files_are_sent_at_once_as_streams_may_be(caller: APIClient, job: ExportJob) -> None:
    sent = [fetch(caller, job) for _ in range(SLOTS.most)]
    answer = fetch(caller, job)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_exports")
    for each in sent:
        read_body(each)
    assert read_body(fetch(caller, job)) == BODY


def test_a_storage_that_is_away_is_a_503(caller: APIClient, job: ExportJob, files: Path) -> None:
    (files / job.file).unlink()
    answer = fetch(caller, job)
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert "storage" in answer.json()["detail"]


# -- links --------------------------------------------------------------------------------------------------------


def read_link(caller: APIClient, job: ExportJob) -> str:
    return str(caller.get(f"/api/v1/exports/{job.pk}/manifest/").json()["url"])


def test_a_link_needs_no_token(caller: APIClient, job: ExportJob, client: APIClient) -> None:
    url = read_link(caller, job)
    assert read_body(open_url(client, url)) == BODY
    assert open_url(client, url, Range="bytes=10-").status_code == 206


def test_a_link_is_over_in_an_hour(
    caller: APIClient, job: ExportJob, client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, now = read_link(caller, job), timezone.now().timestamp()
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + LIFETIME.total_seconds() + 2)
    assert client.get(url).status_code == 401


def test_a_link_is_good_for_its_own_file_only(caller: APIClient, job: ExportJob, client: APIClient) -> None:
    url, other = read_link(caller, job), ask_for(caller)
    assert client.get(url.replace(f"/{job.pk}/", f"/{other.pk}/")).status_code == 401
    assert client.get(url.replace("/file/", "/")).status_code == 401
    assert client.get(f"{url}x").status_code == 401
    assert client.get(url.partition("=")[0] + "=").status_code == 401
    forged = TimestampSigner(key="guessed").sign(f"{job.pk}:{job.owner_id}").split(":", 1)[1]
    assert client.get(f"/api/v1/exports/{job.pk}/file/", {"signature": "9" * 30}).status_code == 401
    assert client.get(f"/api/v1/exports/{job.pk}/file/", {"signature": forged}).status_code == 401


def test_a_link_still_asks_who_its_owner_is(caller: APIClient, job: ExportJob, client: APIClient) -> None:
    url = read_link(caller, job)
    User.objects.filter(pk=job.owner_id).update(is_active=False)
    assert client.get(url).status_code == 401
    User.objects.filter(pk=job.owner_id).update(is_active=True)
    User.objects.get(pk=job.owner_id).groups.clear()
    assert client.get(url).status_code == 403
    User.objects.get(pk=job.owner_id).delete()
    assert client.get(url).status_code == 401


def test_a_link_ends_with_the_password_as_tokens_do(caller: APIClient, job: ExportJob, client: APIClient) -> None:
    url, owner = read_link(caller, job), User.objects.get(pk=job.owner_id)
    owner.set_password("another one")
    owner.save()
    assert client.get(url).status_code == 401


def test_a_link_of_a_former_owner_finds_nothing(caller: APIClient, job: ExportJob, client: APIClient) -> None:
    url = read_link(caller, job)
    ExportJob.objects.update(owner=make_user("Export partner"))
    assert client.get(url).status_code == 404


class Keeper(logging.Handler):
    """What is written of each record."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.formatter = LineFormatter()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def test_no_log_line_holds_a_signature(caller: APIClient, job: ExportJob, client: APIClient) -> None:
    url, keeper = read_link(caller, job), Keeper()
    loggers = [logging.getLogger(name) for name in ("", "tenfold", "django", "django.request")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(keeper)
        logger.setLevel("DEBUG")
    try:
        for address in (url, f"{url}x", f"{url}&more=1"):
            open_url(client, address)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(keeper)
            logger.setLevel(level)
    signature = url.partition("signature=")[2]
    assert any("signature=" in line for line in keeper.lines)
    assert not [line for line in keeper.lines if signature in line]


# -- over the wire ------------------------------------------------------------------------------------------------


@pytest.fixture
def server(transactional_db: None, tmp_path: Path, files: Path) -> Iterator[int]:
    """The port of a granian over the test database and the test's files."""
    port = free_port()
    environment = os.environ | {"DATABASE_URL": find_database_url(), "EXPORT_STORAGE_URL": f"file://{files}"}
    command = ["-m", "granian", "--interface", "wsgi", "--port", str(port), "--blocking-threads", "2", "--no-ws"]
    process = start([*command, "config.wsgi:application"], environment, sys.__stdout__, sys.__stderr__)
    try:
        wait_for_port(port)
        yield port
    finally:
        stop_process(process, signal.SIGTERM)


CUTS = int(os.environ.get("CUTS", "5"))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="it is curl's -C that is tried")
@pytest.mark.django_db(transaction=True)
def test_a_download_that_is_cut_goes_on_where_it_was(server: int, files: Path, tmp_path: Path) -> None:
    make_many(3000)
    user = make_user()
    user.is_superuser = True
    user.save()
    caller = APIClient()
    caller.force_authenticate(user)
    job = ask_for(caller, format="ndjson", compression="none")
    _, secret = AuthToken.objects.create(user)
    url, file = f"http://127.0.0.1:{server}/api/v1/exports/{job.pk}/file/", tmp_path / "file"
    curl = ["curl", "-sS", "--fail", "-H", f"Authorization: Token {secret}", "-o", str(file), url]
    subprocess.run(curl, check=True)
    whole = file.read_bytes()
    assert len(whole) == job.bytes > 1_000_000
    for _ in range(CUTS):
        # What a client that was cut has on its disk.
        file.write_bytes(whole[: random.randrange(1, len(whole))])
        subprocess.run([*curl, "-C", "-"], check=True)
        assert hashlib.sha256(file.read_bytes()).hexdigest() == job.sha256
    assert list_files(files) == [str(job.pk), job.file]


def test_a_link_says_when_it_is_over(caller: APIClient, job: ExportJob) -> None:
    ends = caller.get(f"/api/v1/exports/{job.pk}/manifest/").json()["url_expires_at"]
    assert timezone.now() + LIFETIME - timedelta(minutes=1) < datetime.fromisoformat(ends)
