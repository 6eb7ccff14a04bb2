"""When a write is acknowledged: once a transaction, and when no lease is older than its commit."""

import time
from contextlib import suppress
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from config.api.freshness.leases import FRESHNESS
from tests.factories import make_brand

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCTS = "/api/v1/products/"


def test_a_repeated_answer_is_an_acknowledgement_too(
    staff: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first caller may still wait, or have been killed right after the commit."""
    settings.CACHE_LEASE_MS = 300
    body = {"sku": "A1", "title": "Tea", "price": "1.00"}
    for _ in range(2):
        began = time.monotonic()
        answer = staff.post(PRODUCTS, body, HTTP_IDEMPOTENCY_KEY="k-1")
        assert (answer.status_code, time.monotonic() - began >= 0.3) == (201, True)
    assert answer["Idempotency-Replayed"] == "true"


def test_a_transaction_is_waited_out_once_whatever_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(FRESHNESS, "wait_out", waits.append)
    with transaction.atomic():
        for number in range(5):
            make_brand(f"Brand {number}")
            with suppress(IntegrityError), transaction.atomic():
                make_brand("Lost")
                raise IntegrityError
    assert len(waits) == 1
