"""A change of an entity that this release doesn't know, written by a later one on the same database.

While a release is rolled out both serve: the older one answers, feeds, shows and exports what it can't name.
"""

import json
import time
from typing import Any
from urllib.request import urlopen

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from catalog.changes import log
from catalog.changes.log import number_changes
from catalog.models import Change
from config.wsgi import application
from tests.factories import make_brand, make_product
from tests.gates import Ask, names, send, warm
from tests.launching import find_database_url, launch_server

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

BRANDS = "/api/v1/brands/"
# Longer than any name of this release.
ENTITY = "supplier_contract"
BEFORE = {"id": 7, "terms": "net 30", "signed": "2026-01-02"}


def write_unknown(product_id: int | None = None, entity: str = ENTITY) -> None:
    """As a trigger of a later release does."""
    row: dict[str, Any] = {
        "entity": entity, "entity_id": 7, "op": "update", "version": 2, "sku": "", "product_id": product_id,
        "at": timezone.now(), "actor": "", "request_id": "", "before": json.dumps(BEFORE),
    }  # fmt: skip
    table = "catalog_change_inbox"
    if connection.vendor == "sqlite":
        table, row["numbered_at"] = "catalog_change", row["at"]
    with connection.cursor() as cursor:
        marks = ", ".join(["%s"] * len(row))
        cursor.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
    number_changes()


@pytest.fixture(autouse=True)
def nothing_was_said() -> None:
    log.warn_of.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_the_cache_assumes_that_everything_has_changed_and_logs_why_once(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    make_brand("Acme")
    warm(ask, BRANDS)
    for _ in range(3):
        write_unknown()
        first, second = ask(BRANDS), ask(BRANDS)
        assert (first[0], first[1]["X-Cache"]) == (200, "miss"), "a later release may have changed it"
        assert (second[0], second[1]["X-Cache"]) == (200, "hit")
    assert names(second) == ["Acme"]
    assert caplog.text.count(ENTITY) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("entity", ["", "produkt", "PRODUCT", "'; --", "\U0001f9fe", "x" * 60])
def test_no_content_of_the_log_stops_an_answer(entity: str, ask: Ask) -> None:
    for _ in range(2):
        write_unknown(entity=entity)
        assert ask(BRANDS)[0] == 200
        assert send(application, "/")[0] == 200


def test_the_start_page_stands(client: APIClient) -> None:
    assert client.get("/").status_code == 200
    write_unknown()
    assert client.get("/").status_code == 200


def test_the_feed_and_exports_name_it(staff: APIClient) -> None:
    cursor = staff.head("/api/v1/changes/")["X-Changes-Cursor"]
    write_unknown()
    [line] = staff.get("/api/v1/changes/", {"after": cursor}).json()["results"]
    assert (line["entity"], line["entity_id"], line["op"], line["version"]) == (ENTITY, 7, "update", 2)
    for name in ("ndjson", "csv"):
        assert ENTITY.encode() in b"".join(staff.get(f"/api/v1/exports/changes.{name}"))


def test_a_history_shows_the_row_as_the_log_has_it(staff: APIClient) -> None:
    product = make_product()
    write_unknown(product.pk)
    write_unknown(product.pk)
    latest, earlier = staff.get(f"/api/v1/products/{product.pk}/history/").json()["results"][:2]
    assert (latest["entity"], latest["before"], latest["after"]) == (ENTITY, BEFORE, None)
    assert (earlier["before"], earlier["after"]) == ({}, {}), "the two don't differ"


def test_staff_find_it(admin_client: Client) -> None:
    write_unknown()
    key = Change.objects.get(entity=ENTITY).pk
    listed = admin_client.get(reverse("admin:catalog_change_changelist"), {"entity": ENTITY}).content.decode()
    assert f"/{key}/change/" in listed
    assert "net 30" in admin_client.get(reverse("admin:catalog_change_change", args=[key])).content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_server_goes_on_serving() -> None:
    make_brand("Acme")
    with launch_server(DATABASE_URL=find_database_url(), WEB_WORKERS="1") as (server, launched):

        def ask(address: str) -> tuple[int, str]:
            with urlopen(server + address, timeout=30) as answer:
                return answer.status, answer.headers.get("X-Cache", "")

        assert [ask(BRANDS)[0] for _ in range(3)] == [200, 200, 200]
        for _ in range(3):
            write_unknown()
            assert [ask(address)[0] for address in (BRANDS, "/", "/api/v1/products/", BRANDS)] == [200] * 4
        # An answer is kept once the look at the log behind it is as new as the last write.
        assert any(ask(BRANDS) == (200, "hit") or time.sleep(0.1) for _ in range(50))
        launched.stop()
    assert sum(ENTITY in line for line in launched.lines) == 1
