"""Pages of products: by cursor without end, by number within the first 10,000 rows."""

import re
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from catalog.models import Product
from config.api.gates.cache_gate import CACHE
from config.api.reads.counting import walk_plan
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_rows(size: int, **fields: Any) -> list[Product]:
    """Bare products: pages need no variants."""
    return Product.objects.bulk_create(
        Product(sku=f"S{number}", slug=f"s{number}", title="T", created_at=NOON, **fields) for number in range(size)
    )


def read_ids(page: dict[str, Any]) -> list[int]:
    return [row["id"] for row in page["results"]]


def test_a_walk_to_the_end_sees_every_product_once(client: APIClient) -> None:
    # An import gives all its rows one moment; among 3,000 such ties DRF's cursor showed 1,100 and never ended.
    products = make_rows(301)
    url, seen = f"{URL}?page_size=50&fields=id", []
    while url:
        page = client.get(url).json()
        seen += read_ids(page)
        url = page["next"]
    assert seen == sorted((product.pk for product in products), reverse=True)


def test_a_walk_back_sees_the_same_pages(client: APIClient) -> None:
    make_rows(23)
    page, pages = client.get(f"{URL}?page_size=5&ordering=title").json(), []
    while page["next"]:
        pages.append(read_ids(page))
        page = client.get(page["next"]).json()
    while page["previous"]:
        page = client.get(page["previous"]).json()
        assert read_ids(page) == pages.pop()
    assert not pages


def test_rows_that_stay_are_seen_once_while_others_come_and_go(client: APIClient) -> None:
    products = make_rows(30)
    first = client.get(f"{URL}?page_size=10").json()
    Product.objects.filter(pk__in=read_ids(first)[-3:]).delete()
    make_product(title="New")
    second = client.get(first["next"]).json()
    assert read_ids(second) == [product.pk for product in reversed(products)][10:20]


@pytest.mark.parametrize("ordering", ["-created_at", "created_at"])
def test_a_page_whose_rows_are_gone_still_leads_back(ordering: str, client: APIClient) -> None:
    make_rows(20)
    first = client.get(f"{URL}?page_size=10&ordering={ordering}").json()
    Product.objects.exclude(pk__in=read_ids(first)).delete()
    empty = client.get(first["next"]).json()
    assert (empty["results"], empty["next"]) == ([], None)
    assert read_ids(client.get(empty["previous"]).json()) == read_ids(first)


@pytest.mark.parametrize("ordering", ["-created_at", "created_at"])
def test_a_page_before_which_all_is_gone_still_leads_on(ordering: str, client: APIClient) -> None:
    make_rows(20)
    first = client.get(f"{URL}?page_size=10&ordering={ordering}").json()
    second = client.get(first["next"]).json()
    Product.objects.filter(pk__in=read_ids(first)).delete()
    empty = client.get(second["previous"]).json()
    assert (empty["results"], empty["previous"]) == ([], None)
    assert read_ids(client.get(empty["next"]).json()) == read_ids(second)


def test_links_are_in_the_header_too(client: APIClient) -> None:
    make_rows(3)
    first = client.get(f"{URL}?page_size=1")
    second = client.get(first.json()["next"])
    assert first["Link"] == f'<{first.json()["next"]}>; rel="next"'
    assert second["Link"] == f'<{second.json()["next"]}>; rel="next", <{second.json()["previous"]}>; rel="prev"'


def test_the_sql_compares_rows(client: APIClient, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    # Spelled out with OR it is no range of the index: 2,404 ms against 0.24 at row 1.9 M.
    make_rows(3)
    url = client.get(f"{URL}?page_size=1").json()["next"]
    with django_assert_num_queries(1) as captured:
        client.get(url)
    sql = captured.captured_queries[0]["sql"]
    assert '("catalog_product"."created_at", "catalog_product"."id") < (' in sql
    assert "OFFSET" not in sql


@pytest.mark.parametrize(
    "ordering",
    [sign + name for name in ("created_at", "updated_at", "price", "title_key", "rating") for sign in ("", "-")],
)
def test_the_database_reads_a_page_in_the_order_of_an_index(ordering: str) -> None:
    make_rows(300)
    rows = Product.objects.only_active().order_by(ordering, "-pk" if ordering[0] == "-" else "pk")[:51]
    with connection.cursor() as cursor:
        # SQLite takes any equality for rare until it has counted. To PostgreSQL a small table is cheapest to sort,
        # and the question is whether an index could do it.
        sqlite = connection.vendor == "sqlite"
        cursor.execute("ANALYZE" if sqlite else "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
    plan = rows.explain()
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan
    assert re.search(r"Index Scan (Backward )?using product_by|USING INDEX product_by", plan)


BROKEN = ["", "x", "a:b", "é", "W10:abc", "\x00", "=" * 5000]


@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: "A" + c, lambda c: c.swapcase(), *BROKEN[1:]])
def test_a_damaged_cursor_is_refused(change: Any, client: APIClient) -> None:
    make_rows(3)
    cursor = client.get(f"{URL}?page_size=1").json()["next_cursor"]
    answer = client.get(URL, {"cursor": change(cursor) if callable(change) else change, "page_size": 1})
    assert answer.status_code == 400
    assert answer.json()["code"] in ("invalid_cursor", "invalid_parameter")


@pytest.mark.parametrize("query", ["ordering=price", "status=active", "in_stock=false", "sku=x"])
def test_a_cursor_of_another_list_is_refused(query: str, client: APIClient) -> None:
    make_rows(3)
    cursor = client.get(f"{URL}?page_size=1").json()["next_cursor"]
    answer = client.get(f"{URL}?{query}&cursor={cursor}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_the_page_size_may_change_half_way(client: APIClient) -> None:
    products = make_rows(10)
    cursor = client.get(f"{URL}?page_size=2").json()["next_cursor"]
    page = client.get(f"{URL}?page_size=5&fields=id&cursor={cursor}").json()
    assert read_ids(page) == [product.pk for product in reversed(products)][2:7]


def test_a_numbered_page_says_where_it_stands(client: APIClient) -> None:
    products = make_rows(25)
    page = client.get(f"{URL}?page=2&page_size=10").json()
    assert {name: value for name, value in page.items() if name not in ("results", "next_cursor")} == {
        "page": 2,
        "page_size": 10,
        "pages": 3,
        "count": 25,
        "count_relation": "eq",
        "next": f"http://testserver{URL}?page_size=10&page=3",
        "previous": f"http://testserver{URL}?page_size=10&page=1",
    }
    onward = client.get(f"{URL}?page_size=10&cursor={page['next_cursor']}").json()
    assert read_ids(onward) == [product.pk for product in reversed(products)][20:]


def test_a_page_past_the_end_is_empty(client: APIClient) -> None:
    make_rows(3)
    page = client.get(f"{URL}?page=9&page_size=2").json()
    assert (page["results"], page["next"], page["next_cursor"]) == ([], None, None)
    assert page["previous"].endswith("page_size=2&page=2")  # the last one that has rows


@pytest.mark.parametrize("rows", [9, 10, 14])
@pytest.mark.parametrize("size", [4, 5])
def test_whoever_follows_the_pages_and_then_the_hint_sees_every_row_once(
    rows: int, size: int, client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.api.reads.list_plans.BOUND", 10)
    products, seen = make_rows(rows), []
    for number in range(1, 10 // size + 1):
        seen += read_ids(client.get(f"{URL}?page_size={size}&page={number}").json())
    onward = client.get(f"{URL}?page_size={size}&page=99").json()["hint"].removeprefix("Go on with ")
    while onward:
        page = client.get(onward).json()
        assert "results" in page, "the hint leads to another refusal"
        seen += [pk for pk in read_ids(page) if pk not in seen]  # a list that ended is shown its last page again
        onward = page["next"]
    assert seen == [row.pk for row in reversed(products)]


def test_a_page_past_the_depth_is_refused_with_the_way_on(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.api.reads.list_plans.BOUND", 10)
    products = make_rows(14)
    last = client.get(f"{URL}?page=2&page_size=5").json()
    assert "cursor=" in last["next"]
    problem = client.get(f"{URL}?page=3&page_size=5").json()
    assert problem["code"] == "page_too_deep"
    onward = client.get(problem["hint"].removeprefix("Go on with ")).json()
    assert read_ids(onward) == [product.pk for product in reversed(products)][10:]
    assert client.get(last["next"]).json() == onward


def test_past_the_depth_of_a_list_that_ends_before_it_the_way_is_to_its_last_page(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.api.reads.list_plans.BOUND", 10)
    products = make_rows(7)
    for query, rows in (("page=3", products[1::-1]), ("page=99&search=nothing", [])):
        problem = client.get(f"{URL}?page_size=5&{query}").json()
        assert problem["code"] == "page_too_deep"
        found = client.get(problem["hint"].removeprefix("Go on with ")).json()
        assert (read_ids(found), found["page"]) == ([product.pk for product in rows], found["pages"])


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("page=1", (12, "eq")),
        ("page=1&count=none", (None, None)),
        ("page=1&count=exact", (12, "eq")),
        ("count=bounded", (12, "eq")),
        ("count=exact&page_size=5", (12, "eq")),
    ],
)
def test_counts(query: str, count: tuple[int | None, str | None], client: APIClient) -> None:
    make_rows(12)
    page = client.get(f"{URL}?{query}").json()
    assert (page["count"], page["count_relation"]) == count


def test_a_bounded_count_stops_at_its_bound(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.api.reads.list_plans.BOUND", 10)
    make_rows(12)
    page = client.get(f"{URL}?page=1&page_size=5").json()
    assert (page["count"], page["count_relation"]) == (10, "gte")


@pytest.mark.parametrize("counted", [(0, 0, "eq"), (9, 9, "eq"), (10, 10, "eq"), (11, 10, "gte")])
@pytest.mark.parametrize("query", ["page=1&page_size=4", "page_size=4&count=bounded", "search=tea&page_size=4"])
def test_a_count_is_exact_up_to_its_bound(
    query: str,
    counted: tuple[int, int, str],
    client: APIClient,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    monkeypatch.setattr("config.api.reads.list_plans.BOUND", 10)
    rows, *expected = counted
    for _ in range(rows):
        make_product(title="Tea")
    make_product(status="draft", title="Tea")
    # A search first asks which brands it names. If its page is empty, it asks once more, and whether an active product
    # matches; if none does, for words like its own.
    before = 0 if "search" not in query else 1 if rows else 4
    with django_assert_max_num_queries(before + (1 if rows else 2)):
        page = client.get(f"{URL}?{query}").json()
    assert [page["count"], page["count_relation"]] == expected


def test_an_estimated_count_is_labelled(client: APIClient) -> None:
    make_rows(12)
    page = client.get(f"{URL}?page=1&page_size=5&count=estimated").json()
    assert page["count_relation"] == ("approx" if connection.vendor == "postgresql" else "eq")


@pytest.mark.parametrize("way", ["none", "bounded", "exact", "estimated"])
def test_a_list_that_must_be_empty_has_every_count(way: str, client: APIClient) -> None:
    make_category("Nothing")
    page = client.get(f"{URL}?page=1&category=nothing&ordering=title&count={way}").json()
    assert (page["results"], page["count"]) == ([], None if way == "none" else 0)


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no planner that tells a cost")
def test_an_exact_count_that_would_take_too_long_is_refused_before_it_runs(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rows(3)
    monkeypatch.setattr("config.api.reads.counting.GREATEST_COST", 0)
    for query in ("page=1&page_size=1&count=exact", "page_size=1&count=exact", "page_size=1&count=exact&price_min=0"):
        with CaptureQueriesContext(connection) as queries:
            problem = client.get(f"{URL}?{query}").json()
        assert (problem["status"], problem["code"]) == (400, "count_too_dear")
        assert problem["hint"].startswith("Send count=bounded")
        assert not any("count(*)" in query["sql"] for query in queries)
    # The last page tells the count by itself.
    assert client.get(f"{URL}?page=1&count=exact").json()["count"] == 3


@pytest.mark.parametrize("query", ["search=tea", "search=tea&ordering=-title", "search=eac", "brand=acme", "page=1"])
def test_pages_by_number_are_slices_of_the_list(query: str, client: APIClient) -> None:
    for number in range(11):
        title = f"{'Teacake ' * (number * 7 % 11 + 1)}{number % 4}"
        make_product(title=title, brand=make_brand("Acme" if number % 3 else "Zeta"))
    make_product(title="Tea", brand=make_brand("Acme"), status="draft")
    query = query.replace("page=1", "fields=id")
    whole = read_ids(client.get(f"{URL}?page=1&{query}").json())
    pages = [read_ids(client.get(f"{URL}?page={number}&page_size=3&{query}").json()) for number in range(1, 6)]
    assert list(chain(*pages)) == whole
    assert len(whole) > 6


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite explains without doing")
@pytest.mark.parametrize("query", ["ordering=-updated_at", "search=tea", "brand=acme"])
def test_a_deep_page_makes_the_lists_of_its_own_rows_alone(query: str, staff: APIClient) -> None:
    for _ in range(40):
        make_product(title="Tea", brand=make_brand("Acme"))
    url = f"{URL}?page=7&page_size=5&expand=brand,variants.stock&{query}"
    assert len(staff.get(url).json()["results"]) == 5
    plan = staff.get(f"{url}&explain=1").json()["statements"][-1]["plan"][0]["Plan"]
    loops = [node["Actual Loops"] for node in walk_plan(plan) if node["Node Type"] == "Aggregate"]
    assert max(loops) <= 6


def test_a_cursor_survives_a_new_secret_key(client: APIClient, settings: Any) -> None:
    make_rows(3)
    url = client.get(f"{URL}?page_size=1").json()["next"]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = (
        "another secret key, of fifty letters and more, so long",
        [settings.SECRET_KEY],
    )
    assert client.get(url).status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert client.get(url).json()["code"] == "invalid_cursor"


class WalkProperties(TestCase):
    @pytest.mark.slow
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        prices=st.lists(st.sampled_from(["0", "0.01", "9999999999.99", "5.50"]), max_size=12),
        size=st.integers(1, 5),
        sign=st.sampled_from(["", "-"]),
    )
    def test_any_prices_walk_in_order(self, prices: list[str], size: int, sign: str) -> None:
        CACHE.clear()  # the rows of the example before are rolled back, and with them the log's positions
        products = Product.objects.bulk_create(
            Product(sku=f"S{n}", slug=f"s{n}", title="T", price=price) for n, price in enumerate(prices)
        )
        client, url, seen = APIClient(), f"{URL}?ordering={sign}price&page_size={size}&fields=id", []
        while url:
            page = client.get(url).json()
            seen += read_ids(page)
            url = page["next"]
        expected = list(Product.objects.order_by(f"{sign}price", f"{sign}pk").values_list("pk", flat=True))
        assert seen == expected
        assert len(seen) == len(products)
