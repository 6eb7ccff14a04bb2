"""A database that reads but can't write: probes tell what the last writes met, and doctor tries one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from catalog.models import Change, Product
from config.api.database import recent_writes
from config.api.database.recent_writes import FAILED, RECENT_WRITES
from config.api.models import Worker
from config.operation.doctor import Finding, Level, examine_database
from config.operation.health import Probe
from tests.factories import make_product

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/v1/products/"
BREAK = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM 1 FROM gone; RETURN NEW; END$$;
        CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON catalog_product FOR EACH ROW EXECUTE FUNCTION refuse()""",
}
MEND = {"sqlite": "PRAGMA query_only = OFF", "postgresql": "DROP FUNCTION refuse CASCADE"}


@contextmanager
def broken_writes() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(BREAK[connection.vendor])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(MEND[connection.vendor])


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    Worker.objects.create(name="box:1", host="box", pid=1)
    FAILED.set(None)  # a statement of another test, outside a request
    RECENT_WRITES.note_request(has_committed=True)
    # On the test's own connection, which SQLite's tests need.
    monkeypatch.setattr(Probe, "ask", lambda self: self.look())


def write(staff: APIClient, product: Product) -> int:
    staff.raise_request_exception = False
    return int(staff.patch(f"{URL}{product.pk}/", {"title": "New"}).status_code)


def get_ready(client: Client) -> tuple[int, dict[str, Any]]:
    answer = client.get("/readyz")
    return answer.status_code, answer.json()


def test_a_ready_process_whose_last_writes_failed_says_so(staff: APIClient, client: Client) -> None:
    product = make_product()
    with broken_writes():
        assert [write(staff, product) >= 500 for _ in range(2)] == [True, True]
        assert get_ready(client)[1]["status"] == "ok"  # one or two may be their requests' own fault
        write(staff, product)
        status, report = get_ready(client)
        assert (status, report["status"], report["database"]) == (200, "degraded", "ok")
        assert report["writes"].startswith("the last 3 failed (")
        assert client.get(URL).status_code == 200
    assert write(staff, product) == 200
    assert "writes" not in get_ready(client)[1]


def test_failures_are_told_for_some_minutes(staff: APIClient, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    product = make_product()
    with broken_writes():
        for _ in range(3):
            write(staff, product)
    assert "writes" in get_ready(client)[1]
    monkeypatch.setattr(recent_writes, "REMEMBERED_SECONDS", 0.0)
    assert "writes" not in get_ready(client)[1]


def test_what_failed_outside_of_requests_is_not_theirs(staff: APIClient, client: Client) -> None:
    product = make_product()
    with broken_writes():
        assert find_failed()  # in this thread, which then serves requests
        assert [write(staff, product) >= 500 for _ in range(2)] == [True, True]
        assert "writes" not in get_ready(client)[1]


def test_what_a_request_does_wrong_is_no_failure_of_the_database(staff: APIClient, client: Client) -> None:
    make_product(sku="taken")
    for _ in range(5):
        assert staff.post(URL, {"sku": "taken", "title": "T", "price": "1"}).status_code == 409
    assert "writes" not in get_ready(client)[1]


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite's own error is one of a database that is away")
def test_writes_on_a_standby_are_a_503(staff: APIClient) -> None:
    product = make_product()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        try:
            assert write(staff, product) == 503
            assert staff.get(URL).status_code == 200
        finally:
            cursor.execute("RESET default_transaction_read_only")


FAILED_WRITE = "It answers reads, but a write failed ("


def find_failed() -> list[Finding]:
    """What doctor says of writes; another test's rows may have it say more of other things."""
    return [found for found in examine_database() if found.detail.startswith(FAILED_WRITE)]


@pytest.mark.slow
def test_doctor_tries_a_write_and_takes_it_back() -> None:
    changes, products = Change.objects.count(), Product.objects.count()
    assert find_failed() == []
    assert (Change.objects.count(), Product.objects.count()) == (changes, products)
    with broken_writes():
        (found,) = find_failed()
    assert found.level == Level.ERROR
    assert "trigger" in found.remedy
