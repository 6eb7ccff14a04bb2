"""This process traced, and its spans kept in memory."""

from collections.abc import Iterator

import pytest
from django.db import connections
from django.db.backends.signals import connection_created
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from config import logs
from config.telemetry import otel
from config.telemetry.spans import TRACING
from config.telemetry.statements import trace_statement, watch_connection
from tests.config.api.webhooks.conftest import make_webhook, receiver

__all__ = ["make_webhook", "receiver", "spans"]


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Everything that is traced; the test's own connection, too. Afterwards nothing is."""
    kept, lines = InMemorySpanExporter(), logs._lines
    otel.begin(SimpleSpanProcessor(kept))
    for connection in connections.all():
        watch_connection(None, connection)
    yield kept
    TRACING.open, logs._lines = None, lines
    connection_created.disconnect(watch_connection)
    for connection in connections.all(initialized_only=True):
        if trace_statement in connection.execute_wrappers:
            connection.execute_wrappers.remove(trace_statement)
    if handler := logs.find_queue():
        handler.filters[:] = [each for each in handler.filters if not isinstance(each, logs.TraceFilter)]
