"""Files of jobs in S3: moto serves its language on this machine; what is tried is what a folder gives."""

import hashlib
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from rest_framework.test import APIClient

from catalog.imports.tasks import advance_import
from catalog.models import ImportJob
from config.api.jobs import s3
from config.api.jobs.running import sweep
from config.env import read_storage_url
from exports import tasks
from exports.jobs import planning
from exports.models import ExportJob, ExportPart
from tests.exports.conftest import ask_for, download, make_many, read_body
from tests.exports.formats.test_packers import UNPACK
from tests.factories import make_caller

pytestmark = [pytest.mark.django_db, pytest.mark.once]

BUCKET = "catalogue"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bucket that the jobs write into, as `EXPORT_STORAGE_URL` names it."""
    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("EXPORT_STORAGE_URL", f"s3://{BUCKET}/exports?endpoint_url={endpoint}&region_name=us-east-1")
    settings.STORAGES = settings.STORAGES | {"jobs": read_storage_url("EXPORT_STORAGE_URL", "")}
    found = boto3.resource("s3", endpoint_url=endpoint).Bucket(BUCKET)
    found.create()
    yield found
    found.objects.all().delete()


def list_keys(bucket: Any) -> list[str]:
    return sorted(found.key for found in bucket.objects.all())


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_job_lies_in_the_bucket(
    compression: str, bucket: Any, caller: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "PART_ROWS", 3)
    products = make_many(10)
    job = ask_for(caller, fields="sku", compression=compression)
    assert (job.status, job.error) == ("ready", "")
    packed = download(caller, job)
    assert UNPACK[compression](packed).decode() == "sku\n" + "".join(f"{product.sku}\n" for product in products)
    assert job.sha256 == hashlib.sha256(packed).hexdigest()
    assert list_keys(bucket) == [f"exports/{job.file}"]
    answer = caller.get(f"/api/v1/exports/{job.pk}/file/", headers={"Range": "bytes=3-9"})
    assert (answer.status_code, read_body(answer)) == (206, packed[3:10])


@pytest.mark.slow
def test_files_larger_than_a_piece_of_an_upload(bucket: Any, caller: APIClient, settings: Any) -> None:
    settings.AWS_S3_FILE_BUFFER_SIZE = 5 * 1024 * 1024  # the least that S3 takes
    make_many(7000)
    job = ask_for(caller, format="ndjson")
    content = download(caller, job)
    assert len(content) == job.bytes > settings.AWS_S3_FILE_BUFFER_SIZE
    assert job.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.slow
def test_canceled_and_expired_jobs_leave_nothing(bucket: Any, caller: APIClient) -> None:
    make_many(5)
    expired = ask_for(caller)
    ExportJob.objects.update(expires_at=expired.created_at)
    sweep(ExportJob)
    job_id = caller.post("/api/v1/exports/", {"resource": "products", "format": "csv"}).json()["id"]
    for _ in range(2):
        tasks.advance_export.call(job_id)
    assert list_keys(bucket)
    caller.delete(f"/api/v1/exports/{job_id}/")
    assert list_keys(bucket) == []


@pytest.mark.slow
def test_a_failed_write_completes_no_upload(bucket: Any, caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise OSError("gone")

    monkeypatch.setattr(s3.S3Bucket, "finish", fail)
    make_many(5)
    job = ask_for(caller)
    assert (job.status, job.error) == ("failed", "Its files can't be written or read: gone.")
    assert list_keys(bucket) == []


@pytest.mark.slow
def test_a_bucket_that_is_away_ends_the_job_with_the_reason(bucket: Any, caller: APIClient) -> None:
    make_many(1)
    job_id = caller.post("/api/v1/exports/", {"resource": "products", "format": "csv"}).json()["id"]
    bucket.delete()
    try:
        for _ in range(2):
            tasks.advance_export.call(job_id)
        job = ExportJob.objects.get()
        assert job.status == "failed"
        assert "NoSuchBucket" in job.error
        assert ExportPart.objects.exists(), "so that the next sweep looks for files again"
    finally:
        bucket.create()
    sweep(ExportJob)
    assert not ExportPart.objects.exists()


@pytest.mark.slow
def test_an_import_whose_file_is_gone_fails_with_the_reason(bucket: Any) -> None:
    editor = make_caller("Catalogue editor")
    job_id = editor.generic("POST", "/api/v1/imports/", b"sku,title,price\nA,Lamp,1\n", "text/csv").json()["id"]
    bucket.objects.all().delete()
    advance_import.call(job_id)
    job = ImportJob.objects.get()
    assert job.status == "failed"
    assert "NoSuchKey" in job.error
