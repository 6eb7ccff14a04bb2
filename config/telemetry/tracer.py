"""Spans of OpenTelemetry. Only the settings of otel.py load this module."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.propagate import inject
from opentelemetry.trace import SpanKind, StatusCode, Tracer

from config.telemetry.spans import Attributes, Span

KINDS = {"client": SpanKind.CLIENT, "consumer": SpanKind.CONSUMER}


class Current:
    """The tracer of this process; otel.py sets it."""

    tracer: Tracer


class OtelSpan(Span):
    """A span that is sent, unless the sampler leaves it out."""

    def __init__(self, span: trace.Span) -> None:
        self.span = span

    def note(self, attributes: Attributes) -> None:
        self.span.set_attributes(attributes)

    def fail(self, kind: str) -> None:
        self.span.set_attribute("error.type", kind)
        self.span.set_status(StatusCode.ERROR)

    def write_headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        inject(headers, trace.set_span_in_context(self.span))
        return headers


@contextmanager
def open_span(name: str, kind: str, attributes: Attributes) -> Iterator[Span]:
    """A span around a block; one that failed, if the block raises."""
    span = Current.tracer.start_span(name, None, KINDS[kind], attributes)
    # Without the error's text: that of a database has values.
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        ours = OtelSpan(span)
        try:
            yield ours
        except Exception as error:
            ours.fail(type(error).__qualname__)
            raise


def find_trace() -> tuple[str, str]:
    """The ids of the trace and of the span that the thread is in; empty texts outside of spans."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return "", ""
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)
