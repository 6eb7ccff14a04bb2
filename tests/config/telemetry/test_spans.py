"""What a collector gets: a span for each request, statement, step of a job and message, without anybody's values."""

import io
import json
import logging
import re
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import DatabaseError, connection
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from accounts.models import User
from config import logs
from config.api.freshness.leases import FRESHNESS
from config.api.gates.cache_gate import CacheGate
from config.api.jobs.running import claim_and_take
from config.api.webhooks.courier import Turn
from config.logs import LineFormatter, Output
from config.serving.traced import Traced
from config.telemetry.spans import TRACING
from config.telemetry.statements import LONGEST, describe
from config.wsgi import Handler
from exports.models import ExportJob
from tests.config.api.webhooks.conftest import MakeWebhook, Receiver
from tests.factories import make_brand, make_product
from tests.gates import Ask, Django, send, warm

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE}-00f067aa0ba902b7-01"
BRANDS = "/api/v1/brands/"


SERVER = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x/", "wsgi.url_scheme": "http"}


@pytest.fixture
def ask(django: Django, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Asks the traced gate, with the test's own connection."""
    traced = Traced(CacheGate(django))
    monkeypatch.setattr(FRESHNESS, "lend", nullcontext)
    monkeypatch.setattr("config.api.gates.records.logger.isEnabledFor", lambda level: True)
    return lambda address, method="GET", **headers: send(traced, address, method, **headers)


def name_trace(span: ReadableSpan) -> str:
    return f"{span.get_span_context().trace_id:032x}"


def pick(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def read_texts(spans: InMemorySpanExporter) -> str:
    """All that is sent of the spans, as one text."""
    return "".join(span.to_json() for span in spans.get_finished_spans())


@pytest.mark.django_db(transaction=True)
def test_a_request_is_a_span_of_its_callers_trace_above_its_statements(spans: InMemorySpanExporter, ask: Ask) -> None:
    make_brand("Acme")
    spans.clear()
    status, headers, _ = ask(f"{BRANDS}?search=hush", HTTP_TRACEPARENT=CALLER)
    assert status == 200
    [request] = pick(spans, "GET api/v1/brands/$")
    assert (name_trace(request), f"{request.parent.span_id:016x}") == (TRACE, "00f067aa0ba902b7")  # type: ignore[union-attr]
    assert dict(request.attributes or {}) == {
        "http.request.method": "GET",
        "url.path": BRANDS,
        "url.scheme": "http",
        "http.response.status_code": 200,
        "http.route": "api/v1/brands/$",
        "tenfold.request_id": headers["X-Request-ID"],
        "tenfold.cache": headers["X-Cache"],
    }
    statements = pick(spans, "SELECT")
    assert statements
    assert {span.parent.span_id for span in statements if span.parent} == {request.get_span_context().span_id}
    assert {(span.attributes or {})["db.system.name"] for span in statements} == {connection.vendor}
    assert "catalog_brand" in read_texts(spans)
    assert "hush" not in read_texts(spans)


@pytest.mark.django_db(transaction=True)
def test_a_hit_is_a_span_without_statements(spans: InMemorySpanExporter, ask: Ask) -> None:
    make_brand("Acme")
    warm(ask, BRANDS)
    spans.clear()
    assert ask(BRANDS)[1]["X-Cache"] == "hit"
    names = [
        span.name
        for span in spans.get_finished_spans()
        if "change" not in str((span.attributes or {}).get("db.query.text"))
    ]
    assert names == ["GET api/v1/brands/$"]
    assert (pick(spans, names[0])[0].attributes or {})["tenfold.cache"] == "hit"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("given", ["nonsense", "00-0-0-00", f"00-{'0' * 32}-00f067aa0ba902b7-01", "ff" * 4000])
def test_a_wrong_traceparent_begins_a_trace_of_its_own(spans: InMemorySpanExporter, given: str, ask: Ask) -> None:
    assert ask(BRANDS, HTTP_TRACEPARENT=given)[0] == 200
    [request] = pick(spans, "GET api/v1/brands/$")
    assert request.parent is None


@pytest.mark.django_db(transaction=True)
def test_probes_are_no_spans_and_an_unknown_address_is_one_without_route(spans: InMemorySpanExporter, ask: Ask) -> None:
    ask("/livez")
    assert spans.get_finished_spans() == ()
    assert ask("/nowhere/")[0] == 404
    assert len(pick(spans, "GET")) == 1


@pytest.mark.django_db(transaction=True)
def test_a_stream_ends_its_span_when_it_ends(spans: InMemorySpanExporter) -> None:
    def stream(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return iter([b"a", b"b"])

    body: Any = Traced(stream)(dict(SERVER), lambda *_: None)
    assert next(iter(body)) == b"a"
    assert spans.get_finished_spans() == ()
    body.close()
    assert [span.name for span in spans.get_finished_spans()] == ["GET"]


def test_a_failure_is_named_and_its_text_kept_back(spans: InMemorySpanExporter) -> None:
    def fail(environ: Any, start_response: Any) -> Any:
        raise DatabaseError("DETAIL: Key (email)=(ann@example.com) already exists")

    with pytest.raises(DatabaseError):
        Traced(fail)(dict(SERVER), lambda *_: None)
    [span] = spans.get_finished_spans()
    assert (span.attributes or {})["error.type"] == "DatabaseError"
    assert not span.status.is_ok
    assert "ann@example.com" not in read_texts(spans)


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        (
            "SELECT 'it''s' || name FROM t WHERE a = 7 AND b < 1.5 LIMIT 21",
            "SELECT ? || name FROM t WHERE a = ? AND b < ? LIMIT ?",
        ),
        ('SELECT "T1"."u2", U0.col1, $1, %s FROM t1', 'SELECT "T1"."u2", U0.col1, $1, %s FROM t1'),
    ],
)
def test_a_statement_is_sent_without_values(sql: str, text: str) -> None:
    assert describe(sql) == text


def test_a_long_statement_is_cut() -> None:
    assert len(describe(f"SELECT {'a, ' * 9999}b")) == LONGEST


@pytest.mark.django_db
def test_a_step_of_a_job_is_a_span(spans: InMemorySpanExporter, admin_user: User) -> None:
    job = ExportJob.objects.create(owner=admin_user, resource="brands", format="csv")
    assert claim_and_take(job, lambda held: None)
    [step] = pick(spans, "export step")
    assert (step.attributes or {})["tenfold.job"] == f"export/{job.pk}"


@pytest.mark.django_db(transaction=True)
def test_a_message_carries_its_trace_on(
    spans: InMemorySpanExporter, receiver: Receiver, make_webhook: MakeWebhook
) -> None:
    webhook = make_webhook("product.*", is_test_due=True)
    receiver.answers = [500]
    Turn(type(webhook).objects.filter(pk=webhook.pk).select_related("owner").claim()).run()
    [message] = pick(spans, "POST webhook")
    [(headers, _)] = receiver.received
    assert re.fullmatch(rf"00-{name_trace(message)}-[0-9a-f]{{16}}-0[13]", headers["traceparent"])
    assert (message.attributes or {})["http.response.status_code"] == 500
    assert not message.status.is_ok
    assert "/hook" not in read_texts(spans)
    receiver.read(webhook.secret)  # its signature is right


@pytest.mark.django_db(transaction=True)
def test_a_log_line_has_the_ids_of_its_trace(spans: InMemorySpanExporter, ask: Ask) -> None:
    waiting: Any = logs._lines
    waiting.clear()
    handler: Any = logs.find_queue()
    handler.listener.stop()
    try:
        ask("/nowhere/", HTTP_TRACEPARENT=CALLER)
        output = Output(io.StringIO())
        output.setFormatter(LineFormatter())
        output.write_requests(list(waiting))
    finally:
        handler.listener.start()
    line = json.loads(output.stream.getvalue())
    [span] = pick(spans, "GET")
    assert (line["trace_id"], line["span_id"]) == (TRACE, f"{span.get_span_context().span_id:016x}")
    record = logging.makeLogRecord({"msg": "hello"})
    assert handler.filter(record)
    assert not hasattr(record, "trace_id")
    with TRACING.span("piece", "client", {}):
        assert handler.filter(record)
    assert re.fullmatch("[0-9a-f]{32}", record.__dict__["trace_id"])


@pytest.mark.django_db
def test_what_is_traced_is_answered_the_same(spans: InMemorySpanExporter) -> None:
    make_product()
    bare, traced = Handler(), Traced(Handler())
    for address in ("/api/v1/products/", "/api/v1/products/0/", "/"):
        assert send(bare, address)[0] == send(traced, address)[0]
