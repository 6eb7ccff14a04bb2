"""A worker that is killed in the middle of an edit, again and again: the next one goes on, and no price rises twice."""

import signal
import subprocess
from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pytest
from django.db.models import Max
from rest_framework.test import APIClient

from accounts.models import User
from catalog.changes.log import number_all
from catalog.edits.jobs import submit_edit
from catalog.edits.models import EditJob
from catalog.models import Product, Variant
from tests.catalog.changes.undo.shop import undo
from tests.catalog.changes.undo.test_faults import make_rows
from tests.catalog.imports.test_faults import start_worker, wait_until

__all__ = ["start_worker"]

pytestmark = pytest.mark.slow

KILLS = 2
OLD, NEW = Decimal("5.00"), Decimal("5.25")


def is_past(job_id: int, rows: int) -> bool:
    return bool(EditJob.objects.get(pk=job_id).rows_done > rows)


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_half_way_leaves_an_edit_that_the_next_one_ends(
    start_worker: Callable[[], subprocess.Popen[bytes]],
) -> None:
    make_rows()
    number_all()
    owner = User.objects.create_superuser("root@example.com", "x")
    last, total = Product.objects.aggregate(last=Max("pk"))["last"], Product.objects.count()
    values = {"edit": "price", "price_how": "percent", "amount": "5"}
    job = submit_edit(EditJob(owner=owner, values=values, since=10**9, until_key=last, rows_total=total))

    done = 0
    for _ in range(KILLS):
        worker = start_worker()
        wait_until(partial(is_past, job.pk, done))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        half = EditJob.objects.get(pk=job.pk)
        # The raised prices, and what the job says of them, are one transaction.
        assert half.report.get("changed", 0) == Variant.objects.filter(price=NEW).count()
        done = half.rows_done
    start_worker()
    wait_until(lambda: EditJob.objects.get(pk=job.pk).status == "ready")
    assert set(Variant.objects.values_list("price", flat=True)) == {NEW}
    assert EditJob.objects.get(pk=job.pk).report == {"changed": total, "unchanged": 0, "refused": 0}

    staff = APIClient()
    staff.force_authenticate(owner)
    taken_back = undo(staff, request_id=f"edit/{job.pk}")["id"]
    wait_until(lambda: staff.get(f"/api/v1/changes/undo/{taken_back}/").json()["status"] == "ready")
    assert set(Variant.objects.values_list("price", flat=True)) == {OLD}
