"""Two imports of the same new products at the same time, in opposite orders: every product is in once."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from catalog.imports import runs
from catalog.models import Brand, Category, Product, Stock, Variant
from tests.catalog.conftest import run_import, send_form
from tests.catalog.imports.test_files import import_file
from tests.together import run_together

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]

ROWS = 300
# Rows of a batch, so that batches meet at every row, at some rows, and as a whole file; `make test-faults` tries all.
BATCHES = (10, 64, 5_000) if os.environ.get("WHOLE_FILES") else (64,)
HEADER = "sku,title,price,stock,brand,category,image\n"


def write_row(number: int) -> str:
    names = f"Brand {number % 7},Home > Room {number % 11}"
    return f"S{number:03},Lamp {number},{number + 1},{number},{names},https://i.example/{number}.jpg\n"


FORWARD = HEADER + "".join(map(write_row, range(ROWS)))
BACKWARD = HEADER + "".join(map(write_row, reversed(range(ROWS))))


@pytest.fixture(params=BATCHES)
def batches(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(runs.BATCH_WEIGHT, connection.vendor, request.param)


def run_command(file: Path, content: str) -> Callable[[], int]:
    file.write_text(content)

    def run() -> int:
        report = import_file(file)
        assert report["errors"] == []
        return int(report["products"]["created"])

    return run


def run_job(caller: APIClient, content: str) -> Callable[[], int]:
    answer = send_form(caller, content.encode())
    assert answer.status_code == 201, answer.json()

    def run() -> int:
        job = run_import(answer.json()["id"])
        assert (job.status, list(job.errors.values_list("reason", flat=True))) == ("ready", [])
        return int(job.report["products"]["created"])

    return run


def run_dry(file: Path, content: str) -> Callable[[], int]:
    file.write_text(content)

    def run() -> int:
        report = import_file(file, dry_run=True)
        assert report["errors"] == []
        return int(report["products"]["created"])

    return run


def test_dry_runs_in_opposite_orders_both_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Each keeps the locks of all its batches, so one of them is deadlocked: it rolls back and begins again.
    monkeypatch.setitem(runs.BATCH_WEIGHT, connection.vendor, 64)
    calls = [run_dry(tmp_path / f"{number}.csv", content) for number, content in enumerate((FORWARD, BACKWARD))]
    assert run_together(calls) == [ROWS, ROWS]
    assert not Product.objects.exists()


@pytest.mark.parametrize("ways", ["command, command", "command, job", "job, job"])
def test_imports_in_opposite_orders_write_every_product_once(
    ways: str, batches: None, caller: APIClient, files: Path, tmp_path: Path
) -> None:
    calls = [
        run_command(tmp_path / f"{number}.csv", content) if way == "command" else run_job(caller, content)
        for number, (way, content) in enumerate(zip(ways.split(", "), (FORWARD, BACKWARD), strict=True))
    ]
    assert sum(run_together(calls)) == ROWS
    assert [model.objects.count() for model in (Product, Variant, Stock)] == [ROWS] * 3
    assert (Brand.objects.count(), Category.objects.count()) == (7, 12)
    assert list(Product.objects.order_by("sku").values_list("price", flat=True)) == list(range(1, ROWS + 1))
