"""Callers and rows of the export tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.http.response import HttpResponseBase
from rest_framework.test import APIClient

from catalog.models import Product, ProductText
from exports.jobs import planning
from exports.models import ExportJob
from exports.rows import chunks as rows
from exports.tasks import advance_export
from tests.factories import make_caller

URL = "/api/v1/exports/"

type MakeMany = Callable[[int], list[Product]]


@pytest.fixture(autouse=True)
def steps_are_looked_at(one_step_a_task: None) -> None:
    """In each test."""


def list_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if folder.exists())


def run_job(job_id: int) -> ExportJob:
    """Its steps one after the other, as one worker takes them."""
    for _ in range(1000):
        advance_export.call(job_id)
        job = ExportJob.objects.get(pk=job_id)
        if not job.is_unfinished:
            return job
    raise AssertionError(f"{job} doesn't end")


def post(caller: APIClient, **body: Any) -> Any:
    return caller.post(URL, {"resource": "products", "format": "csv"} | body)


def ask_for(caller: APIClient, **body: Any) -> ExportJob:
    """A job by POST, run to its end."""
    answer = post(caller, **body)
    assert answer.status_code == 201, answer.json()
    return run_job(answer.json()["id"])


def download(caller: APIClient, job: ExportJob) -> bytes:
    answer = caller.get(f"{URL}{job.pk}/file/")
    assert answer.status_code == 200, answer.content
    return read_body(answer)


@pytest.fixture
def caller(db: None) -> APIClient:
    """An export partner, without any other right."""
    return make_caller("Export partner")


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Three rows a chunk, so that few rows are many chunks."""
    monkeypatch.setattr(rows, "FIRST_ROWS", 3)
    monkeypatch.setattr(rows, "GREATEST_ROWS", 3)
    return 3


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows a part or so."""
    monkeypatch.setattr(planning, "PART_ROWS", 3)


def make_many(number: int, prefix: str = "P") -> list[Product]:
    """Narrow products in one statement; their titles make a row of some 900 bytes."""
    products = Product.objects.bulk_create(
        Product(sku=f"{prefix}{n}", slug=f"{prefix}-{n}".lower(), title=f"Product {n} " + "x" * 400)
        for n in range(number)
    )
    ProductText.objects.bulk_create(ProductText(product=product) for product in products)
    return products


def read_body(answer: HttpResponseBase) -> bytes:
    assert answer.streaming
    body: Iterator[bytes] = iter(answer)  # type: ignore[call-overload]  # a stream, as asserted
    return b"".join(body)
