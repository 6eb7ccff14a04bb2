"""A worker that is killed in the middle of an undo, again and again: the next one goes on, and the rows are equal."""

import signal
import subprocess
from collections.abc import Callable
from functools import partial

import pytest
from django.db.models import F
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Change, Product, UndoJob, Variant
from config.api.database.authorship import sign_writes
from config.logs import REQUEST_ID
from tests.catalog.changes.undo.shop import undo
from tests.catalog.imports.test_faults import start_worker, wait_until

__all__ = ["start_worker"]

pytestmark = pytest.mark.slow

PRODUCTS = 3_000
KILLS = 2


def make_rows() -> None:
    products = Product.objects.bulk_create(
        Product(sku=f"S{number}", slug=f"s{number}", title="T") for number in range(PRODUCTS)
    )
    Variant.objects.bulk_create(Variant(product=product, sku=product.sku, price=5) for product in products)


def is_past(job_id: int, rows: int) -> bool:
    return bool(UndoJob.objects.get(pk=job_id).rows_done > rows)


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_half_way_leaves_an_undo_that_the_next_one_ends(
    start_worker: Callable[[], subprocess.Popen[bytes]],
) -> None:
    make_rows()
    before = dict(Variant.objects.values_list("pk", "price"))
    name = REQUEST_ID.set("raise")
    with sign_writes():
        Variant.objects.update(price=F("price") + 1)
    REQUEST_ID.reset(name)
    staff = APIClient()
    staff.force_authenticate(User.objects.create_superuser("root@example.com", "x"))
    job_id = undo(staff, request_id="raise")["id"]

    done = 0
    for _ in range(KILLS):
        worker = start_worker()
        wait_until(partial(is_past, job_id, done))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        half = UndoJob.objects.get(pk=job_id)
        # What is back, and what the job says is back, are one transaction.
        back = sum(price == before[key] for key, price in Variant.objects.values_list("pk", "price"))
        assert half.report.get("variant", {}).get("updated", 0) == back
        done = half.rows_done
    start_worker()
    wait_until(lambda: UndoJob.objects.get(pk=job_id).status == "ready")
    job = UndoJob.objects.get(pk=job_id)
    assert dict(Variant.objects.values_list("pk", "price")) == before
    assert (job.report["variant"], job.conflicts) == ({"updated": len(before)}, [])
    assert Product.objects.count() == PRODUCTS
    staff.head("/api/v1/changes/")
    undone = Change.objects.filter(request_id=f"undo/{job_id}", entity="variant")
    assert undone.count() == undone.values("entity_id").distinct().count() == len(before)
