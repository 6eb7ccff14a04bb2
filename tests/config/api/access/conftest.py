"""Fixtures of the tests that count requests."""

from collections.abc import Iterator

import pytest
from django.conf import settings

from config.api.access import rate_store


@pytest.fixture
def fresh_counts() -> Iterator[None]:
    """Nobody has asked yet, and Redis is there."""
    rate_store._open_storage.cache_clear()
    if settings.REDIS_URL:
        rate_store.open_storage().storage.flushdb()
    yield
    rate_store._open_storage.cache_clear()
    rate_store.BREAKER.failures, rate_store.BREAKER.is_open = 0, False
