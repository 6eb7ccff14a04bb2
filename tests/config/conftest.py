"""Fixtures of the tests that ask gates."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from config.api.freshness.leases import FRESHNESS
from config.api.gates.cache_gate import CacheGate
from tests.gates import Ask, Django, send


@pytest.fixture
def lasting() -> Iterator[None]:
    """The test's connection stays open, as Django's own test client has it."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def django(lasting: None) -> Django:
    return Django()


@pytest.fixture
def ask(django: Django) -> Ask:
    """Asks the gate, as a WSGI server does, with the test's own connection."""
    gate = CacheGate(django)
    FRESHNESS.lend = nullcontext
    return lambda address, method="GET", **headers: send(gate, address, method, **headers)
