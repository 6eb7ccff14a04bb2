"""What our code asks of tracing: a span around a piece of work, and the headers that carry the trace on.

Nothing of OpenTelemetry is imported here. When a setting asks for traces, otel.py puts its function into TRACING; until
then a span does nothing.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

# By the names of OpenTelemetry's conventions, such as `http.response.status_code`.
type Attributes = Mapping[str, str | int]


class Span:
    """A piece of work. This one notes nothing; that of tracer.py is sent to a collector."""

    def note(self, attributes: Attributes) -> None:
        """Add attributes."""

    def fail(self, kind: str) -> None:
        """Say that the work failed. `kind` is the class of an error, or a status."""

    def write_headers(self) -> dict[str, str]:
        """`traceparent`, and `tracestate` if there is one, for a request to somebody else."""
        return {}


NO_SPAN = Span()

type OpenSpan = Callable[[str, str, Attributes], AbstractContextManager[Span]]


class Tracing:
    """The tracing of this process. `open` is None if no setting asks for it."""

    open: OpenSpan | None = None

    def span(self, name: str, kind: str, attributes: Attributes) -> AbstractContextManager[Span]:
        """A span around a block, below the span that the thread is in. `kind` is client or consumer."""
        return self.open(name, kind, attributes) if self.open else nullcontext(NO_SPAN)


TRACING = Tracing()
