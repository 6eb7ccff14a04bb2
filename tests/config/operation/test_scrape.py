"""GET /metrics: who may read it, that Prometheus can, and that its figures are those of all processes."""

import os
import signal
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.test import APIClient

from config import metrics
from config.metrics import count
from config.operation import scrape
from config.operation.doctor import examine_our_settings
from config.operation.health import Probe
from tests.factories import make_product
from tests.launching import PATIENCE, Launched, find_database_url, launch_server

COUNT = "tenfold_request_seconds_count"

type Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def no_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "TABLES", metrics.Tables())
    monkeypatch.setattr(metrics, "OWN", metrics.Own())
    monkeypatch.setattr(Probe, "ask", lambda self: self.look())


def read_samples(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def find(samples: Samples, name: str, **labels: str) -> float:
    """The sum of the samples that have these labels among theirs."""
    wanted = set(labels.items())
    return sum(value for (found, has), value in samples.items() if found == name and wanted <= has)


def scrape_here(client: Client) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return read_samples(answer.content.decode())


# -- who --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "status"),
    [("127.0.0.1", 200), ("127.8.0.1", 200), ("::1", 200), ("::ffff:127.0.0.1", 200), ("10.1.2.3", 403),
     ("fd00::1", 403), ("8.8.8.8", 403), ("2600::1", 403), ("::ffff:8.8.8.8", 403), ("", 403)],
)  # fmt: skip
def test_without_a_token_figures_are_for_this_machine(address: str, status: int, client: Client) -> None:
    answer = client.get("/metrics", REMOTE_ADDR=address)
    assert answer.status_code == status
    if status == 403:
        assert (answer.json()["code"], "METRICS_TOKEN" in answer.json()["detail"]) == ("permission_denied", True)


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["X_FORWARDED_FOR", "X_FORWARDED_PROTO", "X_REAL_IP", "FORWARDED", "VIA"])
def test_a_proxy_doesn_t_lend_its_address(header: str, client: Client) -> None:
    assert client.get("/metrics", REMOTE_ADDR="127.0.0.1", **{f"HTTP_{header}": "127.0.0.1"}).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(
    "told", [{"TRUSTED_PROXIES": 1}, {"HTTPS": True}, {"PUBLIC_HOSTS": ["shop.example.com"]}], ids=str
)
def test_behind_a_proxy_that_adds_no_header_a_token_is_asked_for(
    told: dict[str, Any], client: Client, settings: Any
) -> None:
    for name, value in told.items():
        setattr(settings, name, value)
    assert client.get("/metrics", REMOTE_ADDR="127.0.0.1").status_code == 403
    [finding] = [found for found in examine_our_settings() if "/metrics" in found.detail]
    assert finding.remedy.startswith("Set METRICS_TOKEN")
    settings.METRICS_TOKEN = "s3cret"
    assert client.get("/metrics", REMOTE_ADDR="127.0.0.1", HTTP_AUTHORIZATION="Bearer s3cret").status_code == 200
    assert not [found for found in examine_our_settings() if "/metrics" in found.detail]


@pytest.mark.django_db
def test_a_token_opens_it_to_whoever_brings_it_and_to_nobody_else(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "s3cret"
    for headers in ({}, {"HTTP_AUTHORIZATION": "Bearer wrong"}, {"HTTP_AUTHORIZATION": "Bearer é"}):
        answer = client.get("/metrics", REMOTE_ADDR="127.0.0.1", **headers)
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.json()["code"] == "not_authenticated"
    assert client.get("/metrics", REMOTE_ADDR="8.8.8.8", HTTP_AUTHORIZATION="Bearer s3cret").status_code == 200


# -- what ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_prometheus_reads_it(client: Client) -> None:
    answer = client.get("/metrics")
    assert answer["Content-Type"].startswith("text/plain; version=")
    assert answer["Cache-Control"] == "no-store"
    answer = client.get("/metrics", HTTP_ACCEPT="application/openmetrics-text; version=1.0.0")
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert answer.content.endswith(b"# EOF\n")
    assert client.post("/metrics").status_code == 405


@pytest.mark.django_db
def test_requests_are_told_by_route_status_and_cache(client: Client, settings: Any) -> None:
    settings.CACHE = "off"
    make_product()
    for path in ("/api/v1/products/", "/api/v1/products/", "/api/v1/products/?prise=1", "/nowhere/1", "/nowhere/2"):
        client.get(path)
    samples = scrape_here(client)
    route = "api/v1/products/$"
    labels = {"method": "GET", "route": route, "cache": "bypass"}
    assert find(samples, COUNT, status="200", **labels) == 2
    assert find(samples, COUNT, status="400", **labels) == 1
    assert find(samples, "tenfold_request_seconds_bucket", status="200", le="+Inf", **labels) == 2
    assert find(samples, "tenfold_queries_total", status="200", **labels) == 2
    assert (
        0
        < find(samples, "tenfold_database_seconds_total", **labels)
        < find(samples, "tenfold_request_seconds_sum", **labels)
    )
    # Paths that nothing answers are one row, however many somebody invents.
    assert find(samples, COUNT, route="unmatched", status="404") == 2


@pytest.mark.django_db
def test_answers_of_the_cache_are_told_apart(client: Client) -> None:
    make_product()
    said = [client.get("/api/v1/products/")["X-Cache"] for _ in range(4)]
    samples = scrape_here(client)
    assert said[0] == "miss"
    assert said[-1] == "hit"
    for state in ("miss", "hit"):
        assert find(samples, COUNT, route="api/v1/products/$", cache=state) == said.count(state)


@pytest.mark.django_db
def test_rows_of_exports_are_counted(client: Client, staff: APIClient) -> None:
    make_product()
    make_product()
    for name in ("products.csv", "products.ndjson"):
        answer = staff.get(f"/api/v1/exports/{name}")
        b"".join(answer.streaming_content)
    samples = scrape_here(client)
    for suffix in ("csv", "ndjson"):
        assert find(samples, "tenfold_export_rows_total", resource="products", format=suffix) == 2
        assert find(samples, "tenfold_export_bytes_total", resource="products", format=suffix) > 100


@pytest.mark.django_db
def test_every_event_has_its_family(client: Client) -> None:
    for name, (_, labels) in scrape.EVENTS.items():
        count(name, *("x" for _ in labels), amount=3)
    samples = scrape_here(client)
    assert all(find(samples, f"tenfold_{name}_total") == 3 for name in scrape.EVENTS)


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's triggers write the log itself")
def test_a_change_without_a_position_counts_as_lag(client: Client) -> None:
    assert find(scrape_here(client), "tenfold_change_feed_lag_seconds") == 0
    make_product()
    assert 0 < find(scrape_here(client), "tenfold_change_feed_lag_seconds") < 60


@pytest.mark.django_db
def test_a_database_that_is_down_is_told_beside_what_was_counted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> float:
        raise OperationalError("gone")

    assert find(scrape_here(client), "tenfold_database_up") == 1
    monkeypatch.setattr("catalog.changes.log.measure_lag", fail)
    samples = scrape_here(client)
    assert find(samples, "tenfold_database_up") == 0
    assert find(samples, COUNT, route="metrics") == 1


def test_a_database_that_hangs_is_told_in_bounded_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Probe, "ask", lambda self: None)
    assert find(scrape_here(client), "tenfold_database_up") == 0


# -- several processes --------------------------------------------------------------------------------------------


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def scrape_there(url: str) -> Samples:
    return read_samples(fetch(f"{url}/metrics"))


def wait_for(url: str, processes: int, answers: int | None = None) -> int:
    """Until so many processes, and answers of /livez where they're given, are counted; how many answers there are."""
    end = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < end
        time.sleep(0.1)  # processes lay their figures down once a second
        with suppress(OSError):  # a killed worker resets who waits for it
            samples = scrape_there(url)
            found = int(find(samples, COUNT, route="livez"))
            assert answers is None or found <= answers
            if find(samples, "tenfold_processes") == processes and answers in (None, found):
                return found


def list_web_workers(launched: Launched) -> list[int]:
    children = Path(f"/proc/{launched.process.pid}/task/{launched.process.pid}/children").read_text()
    return [int(child) for child in children.split()]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not os.environ["REDIS_URL"], reason="several web workers need Redis")
def test_several_workers_on_one_port_are_one_server_also_after_a_kill() -> None:
    variables = {"WEB_WORKERS": "3", "REDIS_URL": os.environ["REDIS_URL"], "DATABASE_URL": find_database_url()}
    with launch_server(**variables) as (url, launched), ThreadPoolExecutor(8) as callers:
        wait_for(url, processes=3)
        time.sleep(2 * metrics.WRITE_SECONDS)
        begun = wait_for(url, processes=3)  # the launcher asks until it may say that it serves
        list(callers.map(fetch, [f"{url}/livez"] * 300))
        wait_for(url, processes=3, answers=begun + 300)
        time.sleep(2 * metrics.WRITE_SECONDS)  # what a worker did in its last second goes with it
        os.kill(list_web_workers(launched)[0], signal.SIGKILL)
        wait_for(url, processes=2, answers=begun + 300)
        wait_for(url, processes=3, answers=begun + 300)  # the launcher has put another one in its place
        list(callers.map(fetch, [f"{url}/livez"] * 100))
        wait_for(url, processes=3, answers=begun + 400)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="DATABASE_POOL is PostgreSQL's")
def test_a_pool_tells_what_it_lends_and_how_long_it_lets_wait() -> None:
    make_product()
    with launch_server(DATABASE_URL=find_database_url(), DATABASE_POOL="3", CACHE="off") as (url, _):
        for _ in range(5):
            fetch(f"{url}/api/v1/products/")
        samples = scrape_there(url)
    assert find(samples, "tenfold_pool_requests_total", database="default") >= 5
    assert 1 <= find(samples, "tenfold_pool_connections", database="default") <= 3
    assert find(samples, "tenfold_pool_failures_total") == find(samples, "tenfold_pool_waiting") == 0
