"""Reads that stay prepared on their connection, on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from rest_framework.test import APIClient

from catalog.models import Attribute
from tests.factories import make_product

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="PostgreSQL: needs TEST_BACKEND=production"),
]

URL = "/api/v1/products/?expand=images&price_min=1"


def read_prepared() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%row_json%'")
        return [statement for (statement,) in cursor.fetchall()]


def test_a_page_is_planned_once_whatever_its_values(client: APIClient) -> None:
    make_product()
    # A restart of the suite's other tests may have left statements of their own.
    before = set(read_prepared())
    for price in ("1", "2", "3"):
        assert len(client.get(f"/api/v1/products/?expand=images&price_min={price}").json()["results"]) == 1
    assert len(set(read_prepared()) - before) <= 1
    assert any("stored_form" in statement for statement in read_prepared())


def test_preparing_can_be_turned_off(client: APIClient, settings: Any) -> None:
    make_product()
    settings.DATABASE_PREPARE = False
    before = read_prepared()
    off = client.get(f"{URL}&omit=rating").json()
    assert read_prepared() == before
    settings.DATABASE_PREPARE = True
    assert client.get(f"{URL}&omit=rating").json() == off
    assert read_prepared() != before


@pytest.mark.parametrize(("query", "sign"), [("search=tea", "::tsquery"), ("attr.color=Red", " @> ")])
def test_a_page_is_planned_for_its_words_and_attributes(query: str, sign: str, client: APIClient) -> None:
    Attribute.objects.create(name="color")
    product = make_product(title="Tea", attributes={"color": "Red"})
    for _ in range(2):
        assert client.get(f"/api/v1/products/?{query}").json()["results"][0]["id"] == product.pk
    assert not [statement for statement in read_prepared() if sign in statement]


def test_a_connection_that_broke_is_replaced(client: APIClient) -> None:
    def ask_twice() -> list[int]:
        statuses = [client.get("/api/v1/products/?fields=id").status_code]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.append(cursor.fetchone()[0])
        broken.submit(end_backend).result()
        statuses.append(client.get("/api/v1/products/?fields=id").status_code)
        connections.close_all()
        return statuses

    def end_backend() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", pids)
        connections.close_all()

    pids: list[int] = []
    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as broken:
        assert pool.submit(ask_twice).result() == [200, 200]


@pytest.mark.django_db(transaction=True)
def test_a_migration_that_changes_a_column_s_type_stops_no_read(client: APIClient) -> None:
    product = make_product()
    address = f"/api/v1/products/{product.pk}/images/?fields=position"
    before = client.get(address).json()
    assert before["results"] == [{"position": 1}]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(alter_position, "bigint").result()
        try:
            # PostgreSQL refuses what was prepared before: "cached plan must not change result type".
            assert client.get(address).json() == before
            assert not read_prepared()  # and no connection was closed: a pool would lend it again
        finally:
            pool.submit(alter_position, "integer").result()


def alter_position(kind: str) -> None:
    """As a migration would, by a connection of its own."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE catalog_image ALTER position TYPE {kind}")
    connections.close_all()
