"""Pages that no index serves: the same rows as by any other plan, and few rows read, wherever those that match lie."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from catalog.models import Brand, Category, Product
from config.api.database.statements import Statement
from config.api.freshness.leases import FRESHNESS, LogLease
from config.api.problems.errors import FilterTooDear
from config.api.reads import unserved
from config.api.reads.counting import compile_count, walk_plan
from config.api.reads.list_plans import cut_slice
from config.api.reads.plans import PLANNER_SECONDS
from config.api.reads.runs import Runs
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
    monkeypatch.setattr(unserved, "plan_walk", lambda rows, gather, runs: Steps(rows, walked) if walked else Steps())
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
    return [
        f"{node['Node Type']} {node.get('Index Name', '')} {node['Actual Loops']} {node['Actual Rows']}"
        for node in nodes
    ]


def choose(rows: Any) -> Any:
    find_all = Product.objects.only_active
    return unserved.choose_steps(
        rows.order_by("title_key", "pk"), find_all, "title", ["x"], frozenset({(None, "title")})
    )


def test_the_ordering_is_not_walked_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    none = choose(Product.objects.only_active().filter(brand__in=[Brand.objects.get(slug="last").pk], rating__gt=5))
    plan = find_plan(none)
    assert not [node for node in plan if "title_key" in node], plan
    monkeypatch.setattr(unserved, "plan_walk", lambda rows, gather, runs: Steps(rows, 100))
    many = choose(Product.objects.only_active().filter(in_stock=True))
    walked = find_plan(many)
    # What would gather all rows has run no time.
    assert [node for node in walked if "title_key" in node and " 1 " in node], walked
    assert [node for node in walked if "Scan" in node and " 0 " in node], walked


@pytest.mark.parametrize("size", [51, 201, 901])
def test_a_page_of_many_rows_or_far_down_is_not_gathered_either(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unserved, "plan_walk", lambda rows, gather, runs: Steps(rows, 100))
    plan = find_plan(choose(Product.objects.only_active().filter(in_stock=True)), size)
    assert [node for node in plan if "Scan" in node and " 0 " in node], plan
    monkeypatch.setattr(unserved, "MOST_WALKED", 99)
    plan = find_plan(choose(Product.objects.only_active().filter(in_stock=True)), size)
    assert not [node for node in plan if "title_key" in node or " 0 " in node], plan


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
    assert asked == [4, 0, 4]


# -- lists of several values, each of which an index has in order (runs.py)

# By what the indexes have, and by what they don't have.
WITHIN = {
    "": {},
    "&in_stock=true": {"in_stock": True},
    "&brand=last": {"brand__slug": "last"},
    "&updated_since=2000-01-01": {"updated_at__year__gte": 2000},
}


@pytest.fixture
def vacuumed() -> None:
    """As if it were: then it costs little to read an index alone."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL random_page_cost = 0.001; SET LOCAL seq_page_cost = 0.001")


@pytest.mark.usefixtures("vacuumed")
@pytest.mark.parametrize("ordering", ["-created_at", "title"])
def test_the_products_of_categories_are_in_one_order(ordering: str, client: APIClient) -> None:
    make_category("Food", "Empty")
    column, sign = ordering.replace("title", "title_key"), "-" * ordering.startswith("-")
    for query, filters in WITHIN.items():
        rows = Product.objects.filter(status="active", category__isnull=False, **filters).order_by(column, f"{sign}pk")
        expected = list(rows.values_list("pk", flat=True))
        address = f"{URL}?category=food{query}&ordering={ordering}&fields=id&page_size=200"
        assert list(walk(client, address)) == expected, query
        assert [row["id"] for row in client.get(f"{address}&page=2").json()["results"]] == expected[200:400], query
    following = client.get(f"{URL}?category=food&ordering={ordering}&fields=id").json()["next"]
    before = client.get(following).json()["previous"]
    assert len(list(walk(client, before, "previous"))) == 50


def choose_food(**filters: Any) -> Any:
    categories = list(Category.objects.subtree("food").values_list("pk", flat=True))
    food = Product.objects.only_active().filter(category__in=categories, **filters).order_by("title_key", "pk")
    served = frozenset({(None, "title"), ("category", "title")})
    return unserved.choose_steps(food, Product.objects.only_active, "title", ["category", "x"], served)


@pytest.mark.usefixtures("vacuumed")
def test_no_more_than_a_page_is_read_of_each_category_and_from_an_index_alone() -> None:
    plan = find_plan(choose_food(rating__gte=0))
    assert [node for node in plan if node.startswith("Index Only Scan product_category_by_title 2 51")], plan
    assert len([node for node in plan if "Scan" in node]) == 2, plan


@pytest.mark.usefixtures("vacuumed")
def test_of_categories_with_other_filters_only_their_rows_are_looked_through() -> None:
    runs = Runs("category_id", "bigint", tuple(Category.objects.order_by("pk").values_list("pk", flat=True)))
    everything = Product.objects.only_active().order_by("title_key", "pk")
    steps = plan_walk(everything, {"Plan Rows": 630, "Total Cost": 1e6}, runs)
    # Half of the food matches: a page is there in 100 rows of it, and half as many more are looked through.
    assert (steps.runs, steps.walked) == (runs, pytest.approx(150, rel=0.1))
    rows = everything.filter(category__in=runs.values, currency="USD")
    rows.query.steps = steps  # type: ignore[attr-defined]  # ours
    plan = find_plan(rows)
    assert [node for node in plan if node == f"Index Only Scan product_category_by_title 2 {steps.walked}"], plan


def test_a_column_that_two_filters_compare_has_no_runs() -> None:
    first, second = Category.objects.order_by("pk")
    rows = Product.objects.filter(category__in=[first.pk, second.pk])
    assert Runs.of(rows, {"category"}) == Runs("category_id", "bigint", (first.pk, second.pk))
    assert Runs.of(rows.filter(category__in=[second.pk]), {"category"}) is None
    assert Runs.of(Product.objects.filter(category__in=Category.objects.all()), {"category"}) is None
