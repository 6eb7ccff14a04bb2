"""An editor, imports as a client sends them, and the gate."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from rest_framework.test import APIClient

from catalog.imports import runs
from catalog.imports.tasks import advance_import
from catalog.models import ImportJob
from tests.config.conftest import ask, django, lasting
from tests.factories import make_caller

__all__ = ("ask", "django", "lasting")

URL = "/api/v1/imports/"
ROWS = b"sku,title,price,stock\nA,Lamp,1.50,3\nB,Torch,2,0\n"


@pytest.fixture
def caller(db: None) -> APIClient:
    """An editor."""
    return make_caller("Catalogue editor")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten rows a batch."""
    monkeypatch.setitem(runs.BATCH_WEIGHT, connection.vendor, 10)


def send_form(caller: APIClient, content: bytes, name: str = "file.csv", **members: Any) -> Any:
    return caller.post(URL, {"file": SimpleUploadedFile(name, content)} | members, format="multipart")


def send_body(caller: APIClient, content: bytes, query: str = "", kind: str = "text/csv", **headers: Any) -> Any:
    return caller.generic("POST", f"{URL}?{query}", content, kind, **headers)


def run_import(job_id: int) -> ImportJob:
    advance_import.call(job_id)
    job: ImportJob = ImportJob.objects.get(pk=job_id)
    return job


def import_file(caller: APIClient, content: bytes, **members: Any) -> ImportJob:
    answer = send_form(caller, content, **members)
    assert answer.status_code == 201, answer.json()
    return run_import(answer.json()["id"])


def list_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
