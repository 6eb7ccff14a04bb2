"""Pages that no index serves: the same rows as by any other plan, and few rows read, wherever those that match lie."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from catalog.models import Brand, Product
from config.api.database.statements import Statement
from config.api.freshness.leases import FRESHNESS, LogLease
from config.api.problems.errors import FilterTooDear
from config.api.reads import unserved
from config.api.reads.counting import compile_count, walk_plan
from config.api.reads.list_plans import cut_slice
from config.api.reads.plans import PLANNER_SECONDS
from config.api.reads.unserved import Steps, choose_steps, find_keys, find_steps, plan_walk
from tests.factories import make_brand, make_category

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="PostgreSQL: needs TEST_BACKEND=production"),
]

URL = "/api/v1/products/"
ROWS = 2_000
# Prices repeat, so that the id decides; brand Last has only the dearest products.
FILL = """
INSERT INTO catalog_product (sku, slug, title, title_key, brand_id, category_id, status, currency, price, in_stock,
                             rating, image_url, attributes, version, created_at, updated_at)
SELECT 'S' || n, 's' || n, 'Title ' || n %% 90, 'title ' || n %% 90,
       CASE WHEN n > 1900 THEN %s ELSE %s END, CASE n %% 3 WHEN 0 THEN %s WHEN 1 THEN %s END,
       CASE WHEN n %% 20 = 0 THEN 'draft' ELSE 'active' END, 'USD', n / 7, n %% 4 > 0, (n %% 500) / 100.0, '',
       '{}', 1, now() - n * interval '1 minute', now()
FROM generate_series(1, %s) n"""


@pytest.fixture(autouse=True)
def filled(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [make_brand("Last").pk, make_brand("First").pk, make_category("Food").pk, make_category("Food", "Tea").pk]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(FILL, [*keys, ROWS])
        cursor.execute("ANALYZE catalog_product")
    monkeypatch.setattr(unserved, "TRUSTED_COST", 0)


def walk(client: APIClient, url: str | None, way: str = "next") -> Iterator[int]:
    while url:
        page = client.get(url).json()
        keys = [row["id"] for row in page["results"]]
        yield from reversed(keys) if way == "previous" else keys
        url = page[way]


QUERIES = {
    "brand=last&in_stock=true": {"brand__slug": "last", "in_stock": True},
    "category=food&rating_min=2": {"category__isnull": False, "rating__gte": 2},
    "price_min=200": {"price__gte": 200},
}


def test_rows_that_no_index_finds_have_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_limits(cost: int) -> list[Any]:
        monkeypatch.setattr(unserved, "GREATEST_COST", cost)
        rows = Product.objects.filter(currency="EUR").order_by("-created_at", "-pk")
        chosen = choose_steps(rows, Product.objects.all, "-created_at", ["currency"], frozenset({(None, "created_at")}))
        page, counted = Statement.compile(cut_slice(chosen, chosen, 0, 50)), compile_count(chosen, 10)
        assert page
        assert counted
        return [page.time_limit and page.time_limit.refuse, counted.time_limit and counted.time_limit.refuse]

    assert find_limits(cost=10) == [FilterTooDear, FilterTooDear]
    assert find_limits(cost=10_000) == [None, None]


# Without a look at the ordering's beginning; with one that finds no page, some pages, all pages.
@pytest.mark.parametrize("walked", [0, 5, 300, ROWS])
def test_each_page_has_the_rows_of_its_place(walked: int, client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unserved, "plan_walk", lambda rows, gather: Steps(rows, walked) if walked else Steps())
    for query, filters in QUERIES.items():
        for sign in ("", "-"):
            rows = Product.objects.filter(status="active", **filters).order_by(f"{sign}title_key", f"{sign}pk")
            expected = list(rows.values_list("pk", flat=True))
            address = f"{URL}?{query}&ordering={sign}title&fields=id&page_size=190"
            assert list(walk(client, address)) == expected, query
            assert list(walk(client, f"{address}&page=1")) == expected, query
    last = f"{URL}?{query}&ordering=-title&fields=id&page_size=19"
    pages = list(walk(client, last))
    following = client.get(last).json()["next"]
    before = client.get(following).json()["previous"]
    assert list(walk(client, before, "previous")) == pages[18::-1]


def find_plan(rows: Any, size: int = 51) -> list[str]:
    """The nodes of the plan that finds the keys of the first page."""
    steps = find_steps(rows)
    keys = steps and find_keys(rows, steps, 0, size)
    assert keys
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {keys.sql}", keys.params)
        [[plan]] = cursor.fetchone()
    nodes = walk_plan(plan["Plan"])
    return [f"{node['Node Type']} {node.get('Index Name', '')} {node['Actual Loops']}" for node in nodes]


def choose(rows: Any) -> Any:
    find_all = Product.objects.only_active
    return unserved.choose_steps(
        rows.order_by("title_key", "pk"), find_all, "title", ["x"], frozenset({(None, "title")})
    )


def test_the_ordering_is_not_walked_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    none = choose(Product.objects.only_active().filter(brand__in=[Brand.objects.get(slug="last").pk], rating__gt=5))
    plan = find_plan(none)
    assert not [node for node in plan if "title_key" in node], plan
    monkeypatch.setattr(unserved, "plan_walk", lambda rows, gather: Steps(rows, 100))
    many = choose(Product.objects.only_active().filter(in_stock=True))
    walked = find_plan(many)
    # What would gather all rows has run no time.
    assert [node for node in walked if "title_key" in node and node.endswith(" 1")], walked
    assert [node for node in walked if "Scan" in node and node.endswith(" 0")], walked


@pytest.mark.parametrize(
    ("found", "cost", "walked"),
    [
        (950, 1e6, 150),  # every second row: 100 hold a page, and half as many more are looked through
        (100, 1e6, 1000),  # never more than so many rows
        (90, 1e6, 0),  # they would hardly hold a page
        (950, 1, 0),  # all that match cost less
    ],
)
def test_the_beginning_is_looked_through_if_it_should_hold_a_page_and_costs_less(
    found: int, cost: float, walked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unserved, "WALKED_ROWS", 1_000)
    everything = Product.objects.only_active().order_by("title_key", "pk")  # 1,900 of ROWS
    steps = plan_walk(everything, {"Plan Rows": found, "Total Cost": cost})
    assert steps.walked == pytest.approx(walked, rel=0.1)
    assert (steps.walk is None) == (walked == 0)


def test_a_plan_that_reads_few_rows_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unserved, "TRUSTED_COST", 40_000)
    assert find_steps(choose(Product.objects.only_active().filter(in_stock=True))) is None


def test_the_planner_is_asked_again_after_a_minute_and_not_after_each_write(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()

    def count_questions(seconds: float, position: int) -> int:
        lease = LogLease(now + 3600, now + 3600, "e", position, changed={"catalog_product": position})
        monkeypatch.setattr(FRESHNESS, "lease", lease)
        monkeypatch.setattr(time, "monotonic", lambda: now + seconds)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"{URL}?brand=last&in_stock=true&ordering=title").json()["results"]
        return sum("EXPLAIN" in query["sql"] for query in queries)

    asked = [count_questions(0, 1), count_questions(1, 2), count_questions(PLANNER_SECONDS + 1, 3)]
    assert asked == [3, 0, 3]
