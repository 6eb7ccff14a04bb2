"""A served request reaches a collector; one that hangs delays neither requests nor the end of the server."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.launching import find_database_url, launch_server

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@contextmanager
def collect(hold: Event) -> Iterator[tuple[str, list[Any]]]:
    """A collector's URL, and what it was sent. It answers when `hold` is set."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(ExportTraceServiceRequest.FromString(body))
            hold.wait(60)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", got
    finally:
        hold.set()
        server.shutdown()
        server.server_close()


def get(url: str) -> float:
    """The seconds of a request of TRACE that no cache answers."""
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "Cookie": "a=b"}
    began = time.monotonic()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/api/v1/brands/", headers=headers), timeout=30) as answer:
        assert answer.status == 200
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.once
def test_a_collector_gets_the_spans_of_a_server_that_ends() -> None:
    hold = Event()
    hold.set()
    with collect(hold) as (collector, got):
        variables = {"DATABASE_URL": find_database_url(), "OTEL_EXPORTER_OTLP_ENDPOINT": collector}
        with launch_server(**variables, OTEL_BSP_SCHEDULE_DELAY="60000") as (url, launched):
            get(url)
            assert launched.stop() == 0
        line = json.loads(launched.wait_for("GET /api/v1/brands/ 200"))
    assert line["trace_id"] == TRACE
    groups = [group for request in got for group in request.resource_spans]
    spans = [span for group in groups for scope in group.scope_spans for span in scope.spans]
    names = [span.name for span in spans if span.trace_id.hex() == TRACE]
    services = [each.value.string_value for each in groups[0].resource.attributes if each.key == "service.name"]
    assert services == ["tenfold"]
    assert {"GET api/v1/brands/$", "SELECT"} == set(names)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.once
def test_a_collector_that_hangs_delays_nobody() -> None:
    with collect(Event()) as (collector, got):
        variables = {
            "DATABASE_URL": find_database_url(),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        # Less than the spans of the requests: what the queue can't take is dropped.
        with launch_server(**variables, OTEL_BSP_MAX_QUEUE_SIZE="9", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="5") as (url, it):
            times = [get(url) for _ in range(40)]
            began = time.monotonic()
            assert it.stop() == 0
            ended = time.monotonic() - began
    assert len(got) == 1  # one thread waits for it, and it is ours alone
    assert max(times) < 5
    assert ended < 9  # the SDK would wait for 10 to 30 seconds
