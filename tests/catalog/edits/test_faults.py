"""Workers that are killed in the middle of an edit and of its undo: the next one goes on, and no price rises twice."""

import os
import subprocess
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import Max
from rest_framework.test import APIClient

from accounts.models import User
from catalog.changes.log import number_all
from catalog.edits.jobs import submit_edit
from catalog.edits.models import EditJob
from catalog.models import Change, Product, UndoJob, Variant
from tests.catalog.changes.undo.shop import undo
from tests.catalog.imports.test_faults import ROWS, kill, start_worker, wait_for_death, wait_until

__all__ = ["start_worker"]

pytestmark = pytest.mark.slow

PRODUCTS = ROWS
# In an edit, and as many in its undo.
KILLS = int(os.environ.get("KILLS", "1"))
# An import is killed on both databases, and a job's checkpoint is one mechanism.
SEEN_ON_POSTGRESQL = connection.vendor != "postgresql" and KILLS == 1
OLD, NEW = Decimal("5.00"), Decimal("5.25")


def make_rows() -> None:
    products = Product.objects.bulk_create(
        Product(sku=f"S{number}", slug=f"s{number}", title="T") for number in range(PRODUCTS)
    )
    Variant.objects.bulk_create(Variant(product=product, sku=product.sku, price=OLD) for product in products)


type Worker = subprocess.Popen[bytes]
type Start = Callable[..., Worker]


def end_after_deaths(start_worker: Start, job: EditJob | UndoJob, check: Callable[[], None]) -> None:
    """The first worker of this job dies in the worst place, others anywhere; `check` looks at what each has left."""
    wait_for_death(start_worker(dies_at=2))
    check()
    for _ in range(KILLS - 1):
        worker, done = start_worker(), read_again(job).rows_done
        wait_until(lambda done=done: read_again(job).rows_done > done)  # type: ignore[misc]  # mypy knows no lambda's default
        kill(worker)
        check()
    worker = start_worker()
    wait_until(lambda: read_again(job).status == "ready")
    kill(worker)


def read_again(job: EditJob | UndoJob) -> EditJob | UndoJob:
    job.refresh_from_db()
    return job


def count_prices(price: Decimal) -> int:
    return Variant.objects.filter(price=price).count()


@pytest.mark.skipif(SEEN_ON_POSTGRESQL, reason="seen on PostgreSQL, and with KILLS=3 in make test-faults")
@pytest.mark.django_db(transaction=True)
def test_workers_killed_half_way_leave_an_edit_and_its_undo_that_the_next_one_ends(start_worker: Start) -> None:
    make_rows()
    number_all()
    owner = User.objects.create_superuser("root@example.com", "x")
    last = Product.objects.aggregate(last=Max("pk"))["last"]
    values = {"edit": "price", "price_how": "percent", "amount": "5"}
    edit = submit_edit(EditJob(owner=owner, values=values, since=10**9, until_key=last, rows_total=PRODUCTS))

    def check_edit() -> None:
        # The raised prices, and what the job says of them, are one transaction.
        assert 0 < read_again(edit).report["changed"] == count_prices(NEW) < PRODUCTS

    end_after_deaths(start_worker, edit, check_edit)
    assert count_prices(NEW) == PRODUCTS
    assert edit.report == {"changed": PRODUCTS, "unchanged": 0, "refused": 0}

    staff = APIClient()
    staff.force_authenticate(owner)
    undone = UndoJob.objects.get(pk=undo(staff, request_id=f"edit/{edit.pk}")["id"])

    def check_undo() -> None:
        # What is back, and what the job says is back, are one transaction.
        assert 0 < read_again(undone).report["variant"]["updated"] == count_prices(OLD) < PRODUCTS

    end_after_deaths(start_worker, undone, check_undo)
    assert (undone.report["variant"], undone.conflicts) == ({"updated": PRODUCTS}, [])
    assert count_prices(OLD) == PRODUCTS == Product.objects.count()
    staff.head("/api/v1/changes/")
    changes = Change.objects.filter(request_id=f"undo/{undone.pk}", entity="variant")
    assert changes.count() == changes.values("entity_id").distinct().count() == PRODUCTS
