"""Taking back 100,000 prices takes at most one and a half times as long as it took to change them."""

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Max

from accounts.models import User
from catalog.changes.feed import Bounds
from catalog.changes.log import number_all
from catalog.changes.undo.jobs import run_undo
from catalog.changes.undo.models import UndoJob
from catalog.edits.jobs import run_edit
from catalog.edits.models import EditJob
from catalog.models import Change, Product, Variant

pytestmark = pytest.mark.faults

PRODUCTS, CHUNK = 100_000, 5_000
MOST = 1.5


def make_rows() -> None:
    for start in range(0, PRODUCTS, CHUNK):
        numbers = range(start, start + CHUNK)
        products = Product.objects.bulk_create(Product(sku=f"S{n}", slug=f"s{n}", title="T") for n in numbers)
        Variant.objects.bulk_create(Variant(product=product, sku=product.sku, price=5) for product in products)
        number_all()


def measure(job: Any, run: Callable[[Any, float], None]) -> float:
    job.save()
    held = job.claim_step()
    start = time.monotonic()
    run(held, math.inf)
    return time.monotonic() - start


@pytest.mark.django_db(transaction=True)
def test_an_undo_of_many_prices_takes_at_most_half_as_long_again() -> None:
    make_rows()
    owner = User.objects.create_superuser("root@example.com", "x")
    values = {"edit": "price", "price_how": "percent", "amount": "10"}
    last = Product.objects.aggregate(last=Max("pk"))["last"]
    job = EditJob(owner=owner, values=values, since=Bounds.read().newest, until_key=last, rows_total=PRODUCTS)
    taken = measure(job, run_edit)
    assert set(Variant.objects.values_list("price", flat=True)) == {5.5}

    changes = Change.objects.filter(request_id=f"edit/{job.pk}").order_by("position")
    bounds = Bounds.read()
    undo = UndoJob(
        owner=owner,
        request_id=f"edit/{job.pk}",
        since=changes[0].position,
        until=bounds.newest,
        rows_total=len(changes),
    )
    back = measure(undo, run_undo)
    assert set(Variant.objects.values_list("price", flat=True)) == {5}
    print(f"{PRODUCTS:,} prices changed in {taken:.1f} s, taken back in {back:.1f} s: {back / taken:.2f}")
    assert back <= MOST * taken
