"""Imports over the API: a file of any size becomes a job, or a clear refusal."""

import gzip
import io
import json
import re
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import zstandard
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Change, ImportJob, Product
from tests.catalog.conftest import ROWS, URL, import_file, list_files, run_import, send_body, send_form
from tests.catalog.imports.test_costs import make_rows
from tests.factories import make_caller, make_user

pytestmark = pytest.mark.django_db


def test_a_file_is_sent_by_the_form_of_the_browsable_api(admin_user: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    page = browser.get(URL, headers={"Accept": "text/html"}).content.decode()
    [token, *_] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    form = {"csrfmiddlewaretoken": token, "file": SimpleUploadedFile("a.csv", ROWS), "format": "", "map": ""}
    answer = browser.post(URL, form, headers={"Accept": "text/html"})
    assert answer.status_code == 201, answer.content
    assert ImportJob.objects.get().name == "a.csv"


# -- a file, sent ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["text/csv", "application/octet-stream", "application/gzip", "application/zstd", "form"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_a_file_becomes_products_compressed_or_not_as_a_form_or_as_the_body(
    pack: Any, kind: str, caller: APIClient, files: Path
) -> None:
    packed = pack(ROWS)
    answer = send_form(caller, packed) if kind == "form" else send_body(caller, packed, kind=kind)
    assert answer.status_code == 201, answer.json()
    body = answer.json()
    assert (body["status"], body["format"], body["size"]) == ("queued", "csv", len(packed))
    assert answer["Location"] == f"http://testserver{URL}{body['id']}/"
    assert len(list_files(files)) == 1
    run_import(body["id"])
    done = caller.get(f"{URL}{body['id']}/").json()
    assert done["report"]["products"] == {"created": 2, "updated": 0, "unchanged": 0, "refused": 0}
    assert {name: done[name] for name in ("status", "rows_done", "rows_total", "percent", "bytes", "error")} == {
        "status": "ready", "rows_done": 2, "rows_total": 2, "percent": 100, "bytes": len(packed), "error": "",
    }  # fmt: skip
    assert list(Product.objects.order_by("sku").values_list("sku", "in_stock")) == [("A", True), ("B", False)]
    assert not list_files(files)


def test_options_are_members_of_the_form_or_query_parameters(caller: APIClient) -> None:
    content = b"index,product,price\nA,Lamp,1\n"
    for answer in (
        send_form(caller, content, map="sku=index,title=product", format="csv", dry_run="true"),
        send_body(caller, content, "map=sku=index,title=product&format=csv&dry_run=true&name=x.csv"),
    ):
        body = answer.json()
        assert answer.status_code == 201, body
        assert (body["map"], body["dry_run"]) == ("sku=index,title=product", True)
        job = run_import(body["id"])
        assert job.report["products"]["created"] == 1
        assert (job.status, Product.objects.count()) == ("ready", 0)


def test_ndjson_is_told_by_its_type(caller: APIClient) -> None:
    answer = send_body(caller, b'{"sku": "A", "title": "Lamp", "price": 1}\n', kind="application/x-ndjson")
    assert answer.json()["format"] == "ndjson"
    assert run_import(answer.json()["id"]).report["products"]["created"] == 1


def test_refused_rows_come_in_the_order_of_the_file(caller: APIClient) -> None:
    """What one row says is found out before what several say together."""
    job = import_file(caller, b"sku,title,price\nA,,1\nB,Lamp,x\nC,,1\n")
    answer = caller.get(f"{URL}{job.pk}/errors/")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["2", "A"], ["3", "B"], ["4", "C"]]


def test_refused_rows_come_as_a_file_of_their_lines(caller: APIClient) -> None:
    job = import_file(caller, b"sku,title,price\nA,Lamp,x\nB,Good,1\n=1+1,Lamp,y\n")
    assert (job.status, job.errors_total) == ("ready", 2)
    answer = caller.get(f"{URL}{job.pk}/errors/")
    assert answer["Content-Disposition"] == f'attachment; filename="import-{job.pk}-errors.csv"'
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0] == "line,sku,reason,column,value,rule,remedy"
    assert lines[1].startswith("2,A,\"price: 'x' is not a number")
    # A spreadsheet would run it.
    assert lines[2].startswith("4,'=1+1,")


def test_the_change_log_names_who_sent_the_file(caller: APIClient) -> None:
    job = import_file(caller, ROWS)
    caller.force_authenticate(User.objects.create_superuser("root@example.com", "root"))
    caller.head("/api/v1/changes/")
    # The end of the job is in the log, too, and keeps the row of before.
    changes = Change.objects.exclude(entity="import")
    assert set(changes.values_list("actor", "before")) == {(f"user:{job.owner_id}", None)}


def test_a_repetition_with_its_key_makes_no_second_job(caller: APIClient, files: Path) -> None:
    first, second = (send_body(caller, ROWS, HTTP_IDEMPOTENCY_KEY="once") for _ in range(2))
    assert first.content == second.content
    assert second["Idempotency-Replayed"] == "true"
    assert len(list_files(files)) == ImportJob.objects.count() == 1
    assert send_body(caller, ROWS + b"C,New,1,1\n", HTTP_IDEMPOTENCY_KEY="once").status_code == 422
    assert len(list_files(files)) == 1


# -- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "query", "sentence"),
    [
        (b"", "", "upload is empty"),
        (b"name,price\nA,1\n", "", "upload has no column sku"),
        (b"PK\x03\x04", "", "an Excel workbook, but damaged"),
        (gzip.compress(gzip.compress(ROWS, mtime=0), mtime=0), "", "upload is compressed twice"),
        (zstandard.compress(gzip.compress(ROWS, mtime=0)), "", "upload is compressed twice"),
        (gzip.compress(ROWS, mtime=0)[:-9], "", "can't be decompressed"),
        (gzip.compress(ROWS, mtime=0) + b"more", "", "can't be decompressed"),
        (zstandard.compress(ROWS)[:-3], "", "can't be decompressed"),
        (b"sku,title\n", "map=titel=title", "did you mean title?"),
        (b"sku,title\n", "format=shopify", "hasn't the columns of"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_at_once_and_goes(
    content: bytes, query: str, sentence: str, caller: APIClient, files: Path
) -> None:
    answer = send_body(caller, content, query)
    assert (answer.status_code, answer.json()["code"]) == (422, "file_refused")
    assert sentence in answer.json()["detail"]
    assert answer.json()["hint"]
    assert not list_files(files)
    assert not ImportJob.objects.exists()


@pytest.mark.parametrize("is_form", [True, False])
def test_a_file_past_its_limit_is_refused(is_form: bool, caller: APIClient, files: Path, settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 2_000
    content = ROWS + b"C,Lamp,1,1\n" * 1_000
    answer = send_form(caller, content) if is_form else send_body(caller, content)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert not list_files(files)


@pytest.mark.parametrize("url", [URL, URL.rstrip("/")])
def test_a_body_in_chunks_may_be_larger_than_other_bodies(url: str, caller: APIClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    content = make_rows(200)
    chunks: Any = {"wsgi.input": io.BytesIO(content), "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_TYPE": "text/csv"}
    chunks["HTTP_AUTHORIZATION"] = "Token any"  # without credentials nothing is read
    answer = caller.generic("POST", url, b"", **chunks)
    assert answer.status_code == 201, answer.json()
    assert answer.json()["size"] == len(content)
    assert run_import(answer.json()["id"]).rows_done == 200


def test_a_missing_storage_extra_is_named(caller: APIClient, settings: Any) -> None:
    settings.STORAGES = settings.STORAGES | {"jobs": {"BACKEND": "config.api.missing.Bucket"}}
    answer = send_body(caller, ROWS)
    assert (answer.status_code, answer.json()["code"]) == (422, "missing_extra")
    assert "pip install django-storages[s3]" in answer.json()["hint"]


@pytest.mark.parametrize("what", ["open", "finish", "delete"])
def test_a_storage_that_is_away_is_503_and_stops_no_cancel(
    what: str, caller: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = send_body(caller, ROWS).json()["id"]

    def fail(*args: Any) -> None:
        raise OSError("away")

    with monkeypatch.context() as away:
        away.setattr(f"config.api.jobs.files.LocalFolder.{what}", fail)
        assert caller.delete(f"{URL}{job_id}/").status_code == 204
        answer = send_body(caller, ROWS) if what != "delete" else caller.delete(f"{URL}{job_id}/")
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert list(ImportJob.objects.values_list("status", flat=True)) == ["canceled"]


def test_a_file_that_decompresses_to_too_much_is_refused(caller: APIClient, files: Path, settings: Any) -> None:
    settings.IMPORT_MAX_UNPACKED_BYTES = 2_000
    answer = send_body(caller, gzip.compress(make_rows(100)))
    assert "decompresses to more than 2,000 bytes" in answer.json()["detail"]
    assert not list_files(files)


def test_a_body_that_is_cut_off_is_no_file(caller: APIClient, files: Path) -> None:
    # The client announced more than it sent.
    cut: Any = {"wsgi.input": io.BytesIO(ROWS), "CONTENT_LENGTH": str(len(ROWS) + 100), "CONTENT_TYPE": "text/csv"}
    answer = caller.generic("POST", URL, b"", **cut)
    assert answer.status_code == 422
    assert "was cut off after" in answer.json()["detail"]
    assert not list_files(files)


@pytest.mark.parametrize(
    ("answer", "status", "pointer"),
    [
        (lambda caller: caller.post(URL, {"map": ""}, format="multipart"), 400, "/file"),
        (lambda caller: caller.post(URL, {"file": "text"}, format="multipart"), 400, "/file"),
        (lambda caller: send_form(caller, ROWS, format="excel"), 400, "/format"),
        (lambda caller: send_form(caller, ROWS, mapp="a=b"), 400, "/mapp"),
        (lambda caller: send_body(caller, ROWS, "dryrun=true"), 400, "?dryrun"),
        (lambda caller: send_body(caller, b"{}", kind="application/pdf"), 415, None),
        (lambda caller: send_body(caller, b"a=b", kind="application/x-www-form-urlencoded"), 415, None),
    ],
)
def test_a_wrong_request_is_refused_with_the_name_of_its_error(
    answer: Any, status: int, pointer: str | None, caller: APIClient, files: Path
) -> None:
    found = answer(caller)
    assert found.status_code == status, found.json()
    assert pointer is None or found.json()["errors"][0]["pointer"] == pointer
    assert not list_files(files)
    assert not ImportJob.objects.exists()


def test_a_user_has_at_most_a_quota_of_waiting_imports(caller: APIClient, files: Path, settings: Any) -> None:
    settings.IMPORT_QUOTA_JOBS = 1
    assert send_body(caller, ROWS).status_code == 201
    answer = send_body(caller, ROWS)
    assert (answer.status_code, answer.json()["code"]) == (429, "imports_waiting")
    assert answer["Retry-After"]
    assert len(list_files(files)) == 1


def test_a_body_is_not_read_without_the_permission_to_import(files: Path) -> None:
    stranger = APIClient()
    assert send_body(stranger, ROWS).status_code == 401
    stranger.force_authenticate(make_user("Export partner"))
    assert send_body(stranger, ROWS).status_code == 403
    assert not list_files(files)


def test_each_sees_their_own(caller: APIClient) -> None:
    job = import_file(caller, ROWS)
    other = make_caller("Catalogue editor")
    assert other.get(URL).json()["results"] == []
    for address in (f"{URL}{job.pk}/", f"{URL}{job.pk}/errors/"):
        assert caller.get(address).status_code == 200
        assert other.get(address).status_code == 404
    assert other.delete(f"{URL}{job.pk}/").status_code == 404


@pytest.mark.usefixtures("small_batches")
def test_a_dry_run_has_the_counts_and_errors_of_the_real_one(caller: APIClient) -> None:
    content = make_rows(35).replace(b"S7,Lamp 7,1,", b"S7,Lamp 7,x,")
    dry, real = (import_file(caller, content, dry_run=dry_run) for dry_run in ("true", "false"))
    assert dry.report == real.report
    assert list(dry.errors.values_list("line", "reason")) == list(real.errors.values_list("line", "reason"))
    assert (dry.errors_total, dry.rows_total) == (1, 35)


@pytest.mark.usefixtures("small_batches")
def test_a_dry_run_waits_for_no_lock_of_its_own(caller: APIClient) -> None:
    began = time.monotonic()
    import_file(caller, make_rows(35), dry_run="true")
    assert time.monotonic() - began < 10  # seconds; SQLite's own wait for a lock is 15


def test_lists_are_short_rows_with_links(caller: APIClient) -> None:
    job = import_file(caller, ROWS)
    row = caller.get(f"{URL}?fields=id,errors_url").json()["results"][0]
    assert row == {"id": job.pk, "errors_url": f"http://testserver{URL}{job.pk}/errors/"}
    assert json.loads(io.BytesIO(caller.get(f"{URL}{job.pk}/").content).read())["name"] == "file.csv"


def test_a_database_that_goes_away_after_the_upload_is_503(caller: APIClient) -> None:
    with (
        patch.object(ImportJob, "save", side_effect=OperationalError("gone")),
        patch.object(ImportJob.objects, "filter", side_effect=OperationalError("gone")),
    ):
        answer = send_body(caller, ROWS)
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
