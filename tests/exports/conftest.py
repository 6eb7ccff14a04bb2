"""Callers and rows of the export tests."""

from collections.abc import Callable, Iterator

import pytest
from django.http.response import HttpResponseBase
from rest_framework.test import APIClient

from catalog.models import Product, ProductText
from exports import rows
from tests.factories import make_user

type MakeMany = Callable[[int], list[Product]]


@pytest.fixture
def caller(db: None) -> APIClient:
    """An export partner, without any other right."""
    client = APIClient()
    client.force_authenticate(make_user("Export partner"))
    return client


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> int:
    """Three rows a batch, so that few rows are many batches."""
    monkeypatch.setattr(rows, "BATCH_ROWS", 3)
    return 3


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
