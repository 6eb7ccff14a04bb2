"""Brands and categories: small lists that are answered from the cache until something is written."""

from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from catalog.models import Brand, Category
from config.api.caching import move_generations, read_generations, read_or_fill
from tests.factories import make_brand, make_category

URL = "/api/v1/brands/"


pytestmark = pytest.mark.django_db


def test_brands_come_in_order_with_their_count(client: APIClient) -> None:
    make_brand("Zeta")
    make_brand("Acme")
    page = client.get(URL).json()
    assert [row["slug"] for row in page["results"]] == ["acme", "zeta"]
    assert (page["page"], page["count"], page["count_relation"]) == (1, 2, "eq")
    assert client.get(f"{URL}acme/").json()["name"] == "Acme"
    assert client.get(f"{URL}nobody/").status_code == 404


def test_a_tree_is_nested_by_name(client: APIClient) -> None:
    make_category("Food", "Tea", "Green")
    make_category("Food", "Bread")
    make_category("Home")
    tree = client.get("/api/v1/categories/food/tree/").json()
    assert [child["name"] for child in tree["children"]] == ["Bread", "Tea"]
    assert tree["children"][1]["children"][0]["slug"] == "food-tea-green"
    assert client.get("/api/v1/categories/nothing/tree/").status_code == 404
    assert client.get("/api/v1/categories/food/").json()["parent"] is None


@pytest.mark.django_db(transaction=True)
def test_a_repeat_is_answered_without_asking_for_the_list(
    client: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_brand("Acme")
    first = client.get(URL)
    # On SQLite one PRAGMA asks whether another process wrote; with Redis nothing is asked.
    with django_assert_num_queries(1 if connection.vendor == "sqlite" else 0):
        second = client.get(URL)
    assert (first["X-Cache"], second["X-Cache"]) == ("miss", "hit")
    assert first.content == second.content
    assert second["ETag"] == first["ETag"]


@pytest.mark.django_db(transaction=True)
def test_a_known_answer_is_a_304(client: APIClient) -> None:
    make_brand("Acme")
    etag = client.get(URL)["ETag"]
    assert client.get(URL, HTTP_IF_NONE_MATCH=etag).status_code == 304
    Brand.objects.update(name="New")
    move_generations("brands")
    assert client.get(URL, HTTP_IF_NONE_MATCH=etag).json()["results"][0]["name"] == "New"


@pytest.mark.django_db(transaction=True)
def test_a_write_is_seen_by_the_next_read(client: APIClient) -> None:
    make_brand("Acme")
    client.get(URL)
    with transaction.atomic():
        Brand.objects.update(name="New")
        move_generations("brands")
    assert client.get(URL).json()["results"][0]["name"] == "New"


@pytest.mark.django_db(transaction=True)
def test_what_was_read_before_a_write_is_not_kept_after_it() -> None:
    stamp = read_generations(["brands"])
    assert stamp is not None

    def fill() -> bytes:
        # A write commits between the query and the fill.
        move_generations("brands")
        return b"old"

    read_or_fill("key", stamp, fill)
    fresh = read_generations(["brands"])
    assert fresh is not None
    assert read_or_fill("key", fresh, lambda: b"new") == (b"new", False)


@pytest.mark.django_db(transaction=True)
def test_a_write_that_is_rolled_back_moves_nothing() -> None:
    stamp = read_generations(["brands"])
    with transaction.atomic():
        move_generations("brands")
        transaction.set_rollback(True)
    assert read_generations(["brands"]) == stamp


@pytest.mark.django_db(transaction=True)
def test_another_process_writing_to_sqlite_is_noticed(client: APIClient) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("SQLite's data_version: needs TEST_BACKEND=embedded")
    import sqlite3

    make_category("Food")
    name = str(connection.settings_dict["NAME"])
    client.get("/api/v1/categories/")
    other = sqlite3.connect(name)
    other.create_function("tenfold_setting", 1, lambda setting: None)  # as each of Tenfold's connections has it
    other.execute("UPDATE catalog_category SET name = 'Psql'")
    other.commit()
    other.close()
    assert client.get("/api/v1/categories/").json()["results"][0]["name"] == "Psql"
    assert Category.objects.get().name == "Psql"


def test_the_cache_can_be_turned_off(client: APIClient, settings: Any) -> None:
    settings.CACHE = "off"
    assert client.get(URL)["X-Cache"] == "bypass"


def test_hosts_dont_share_answers(client: APIClient, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["a.example", "b.example"]
    for number in range(51):
        make_brand(f"Brand {number:03}")
    for host in ("a.example", "b.example", "a.example"):
        assert client.get(URL, HTTP_HOST=host).json()["next"].startswith(f"http://{host}/")
