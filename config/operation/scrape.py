"""`/metrics`: the figures of all processes of this server and of the database, in Prometheus' format.

If METRICS_TOKEN is set, they are open to callers with this token. Otherwise to callers on this machine, but only if no
proxy is in front: all callers would seem to be on its machine.
"""

import ipaddress
import secrets
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from rest_framework.exceptions import NotAuthenticated, PermissionDenied

from config.api.problems.error_handler import respond_with
from config.metrics import (
    ASKED,
    BUCKETS,
    EVENTS,
    FIRST_BUCKET,
    GAUGES,
    REQUEST,
    Family,
    Figures,
    Gauges,
    read_everybody,
)
from config.operation.dangers import has_proxy
from config.operation.health import Probe

# The labels of an answer. `cache` is the header X-Cache.
REQUEST_LABELS = ("method", "route", "status", "cache")
# Headers that only proxies send.
PROXY_HEADERS = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")
UP = {"database_up": Family("1 if the database answered this scrape, else 0.")}
BOUNDS = (*(f"{bound:g}" for bound in BUCKETS), "+Inf")


@require_safe
def show_metrics(request: HttpRequest) -> HttpResponse:
    """Runs at most three short queries, in their own thread, for at most ANSWER_SECONDS."""
    if refusal := refuse(request):
        return refusal
    figures = read_everybody()
    figures.gauges |= PROBE.ask() or {("database_up",): 0}
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(Families(figures)), content_type, headers={"Cache-Control": "no-store"})


def refuse(request: HttpRequest) -> HttpResponse | None:
    """An error for a caller who may not read the figures, else None. They show sales and the server's weak points."""
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if secrets.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
            return None
        response = respond_with(NotAuthenticated("Send Authorization: Bearer with this server's METRICS_TOKEN."))
        response["WWW-Authenticate"] = "Bearer"
        return response
    return (
        None
        if is_near(request)
        else respond_with(
            PermissionDenied(
                "Without METRICS_TOKEN only this machine may read the figures, and nobody through a proxy: set it, and "
                "send it as Authorization: Bearer."
            )
        )
    )


def is_near(request: HttpRequest) -> bool:
    if has_proxy() or any(name in request.headers for name in PROXY_HEADERS):
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    # A socket for both kinds of addresses writes those of IPv4 as `::ffff:127.0.0.1`.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


# -- figures of the database --------------------------------------------------------------------------------------


def ask_database() -> Gauges:
    try:
        return {key: value for ask in ASKED for key, value in ask().items()} | {("database_up",): 1}
    except DatabaseError:
        return {("database_up",): 0}


PROBE: Probe[Gauges] = Probe(ask_database)


# -- Prometheus' format -------------------------------------------------------------------------------------------


class Families(Collector):
    """The figures as metric families for prometheus-client."""

    def __init__(self, figures: Figures) -> None:
        self.figures = figures

    def collect(self) -> Iterator[Metric]:
        yield from self.describe_requests()
        for name, (sentence, labels) in EVENTS.items():
            yield self.fill(CounterMetricFamily(f"tenfold_{name}", sentence, labels=labels), self.find_counts(name))
        for name, (sentence, labels) in (GAUGES | UP).items():
            yield self.fill(GaugeMetricFamily(f"tenfold_{name}", sentence, labels=labels), self.find_gauges(name))
        yield GaugeMetricFamily("tenfold_processes", "Processes that count.", value=self.figures.processes)

    def find_counts(self, name: str) -> Iterator[tuple[list[str], float]]:
        rows = self.figures.counts.items()
        return ((write_labels(labels), row[0]) for (found, *labels), row in rows if found == name)

    def find_gauges(self, name: str) -> Iterator[tuple[list[str], float]]:
        return (
            (write_labels(labels), value) for (found, *labels), value in self.figures.gauges.items() if found == name
        )

    def fill(self, family: Any, values: Iterable[tuple[list[str], float]]) -> Metric:
        for labels, value in values:
            family.add_metric(labels, value)
        metric: Metric = family
        return metric

    def describe_requests(self) -> Iterator[Metric]:
        times = HistogramMetricFamily("tenfold_request_seconds", "Time of an answer.", labels=REQUEST_LABELS)
        queries = CounterMetricFamily("tenfold_queries", "Database queries of answers.", labels=REQUEST_LABELS)
        database = CounterMetricFamily("tenfold_database_seconds", "Time of those.", labels=REQUEST_LABELS)
        for (found, *values), row in self.figures.counts.items():
            if found == REQUEST:
                labels = write_labels(values)
                filled = accumulate(row[FIRST_BUCKET:])
                times.add_metric(labels, list(zip(BOUNDS, filled, strict=True)), sum_value=row[0])
                queries.add_metric(labels, row[1])
                database.add_metric(labels, row[2])
        yield from (times, queries, database)


def write_labels(values: Iterable[str | int]) -> list[str]:
    return [str(value) for value in values]
