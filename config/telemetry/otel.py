"""Spans in, OTLP over HTTP out. Needs the extra `otel`; only a setting loads this module.

A thread of the SDK sends spans in batches. It keeps at most OTEL_BSP_MAX_QUEUE_SIZE of them and drops older ones, so a
collector that fails or hangs delays nothing. The SDK reads the OTEL_… variables itself.
"""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.signals import connection_created
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from config.logs import mark_lines
from config.telemetry.spans import TRACING
from config.telemetry.statements import watch_connection
from config.telemetry.tracer import Current, find_trace, open_span


class Process:
    """What this process sends spans by."""

    provider: TracerProvider


def begin(processor: SpanProcessor | None = None) -> None:
    """Trace this process from now on. `processor` takes the spans; by default one that sends them.

    Raises ImproperlyConfigured if the SDK refuses a variable.
    """
    try:
        # Not by the SDK's own handler at the exit: it may wait for 30 seconds, process.py waits for two.
        provider = TracerProvider(resource=describe_process(), shutdown_on_exit=False)
        provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        raise ImproperlyConfigured(f"an OTEL_… variable is refused: {error}") from error
    Process.provider, Current.tracer = provider, provider.get_tracer("tenfold", settings.VERSION)
    TRACING.open = open_span
    mark_lines(find_trace)
    connection_created.connect(watch_connection)


def flush() -> None:
    """Send what waits. It takes as long as the collector lets it."""
    Process.provider.force_flush()


def describe_process() -> Resource:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, then what they leave out."""
    given = Resource.create()
    ours = Resource({"service.version": settings.VERSION}).merge(given)
    is_named = not str(given.attributes["service.name"]).startswith("unknown_service")
    return ours if is_named else ours.merge(Resource({"service.name": "tenfold"}))
