"""Callers and rows of the export tests."""

from collections.abc import Callable, Iterator

import pytest
from django.http.response import HttpResponseBase
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Product, ProductText
from exports import rows

type MakeMany = Callable[[int], list[Product]]


@pytest.fixture
def caller(db: None) -> APIClient:
    """Signed in, without any right."""
    client = APIClient()
    client.force_authenticate(User.objects.create_user("buyer@example.com", "buyer"))
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
