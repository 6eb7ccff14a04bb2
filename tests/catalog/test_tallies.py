"""How many products brands and categories have: whoever writes, whatever is moved, however they are folded."""

from random import Random
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from catalog import tallies
from catalog.changes.entities import list_entities
from catalog.models import Brand, Category, Product, Tally
from catalog.tallies import fold_tallies, recount
from tests.factories import make_brand, make_category, make_product
from tests.gates import Ask, warm

pytestmark = pytest.mark.django_db

BRANDS, CATEGORIES = "/api/v1/brands/", "/api/v1/categories/"


def read(client: APIClient, address: str) -> dict[str, int]:
    rows = client.get(address).json()["results"]
    assert {row["count_relation"] for row in rows} <= {"eq"}
    return {row["slug"]: row["product_count"] for row in rows}


@pytest.fixture
def shop(db: None) -> None:
    acme, zeta, tea, food = make_brand("Acme"), make_brand("Zeta"), make_category("Food", "Tea"), make_category("Food")
    make_category("Home")
    for brand, category, status in (
        (acme, tea, "active"), (acme, food, "active"), (acme, None, "draft"), (zeta, tea, "archived"),
        (None, tea, "active"),
    ):  # fmt: skip
        make_product(brand=brand, category=category, status=status)


@pytest.mark.usefixtures("shop")
def test_brands_and_categories_say_how_many_active_products_they_have(client: APIClient, staff: APIClient) -> None:
    for caller in (client, staff):
        assert read(caller, BRANDS) == {"acme": 2, "zeta": 0}
        assert read(caller, CATEGORIES) == {"food": 3, "food-tea": 2, "home": 0}
    detail = client.get(f"{CATEGORIES}food/").json()
    assert (detail["product_count"], detail["count_relation"]) == (3, "eq")
    row = client.get("/api/v1/products/?expand=brand,category&ordering=id").json()["results"][0]
    assert "product_count" not in row["brand"]
    assert "product_count" not in row["category"]


@pytest.mark.usefixtures("shop")
def test_a_tree_moves_with_its_products_and_touches_none(client: APIClient) -> None:
    versions = list(Product.objects.order_by("pk").values_list("version", flat=True))
    Category.objects.filter(slug="food-tea").update(parent=Category.objects.get(slug="home"))
    assert read(client, CATEGORIES) == {"food": 1, "food-tea": 2, "home": 2}
    assert list(Product.objects.order_by("pk").values_list("version", flat=True)) == versions


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("address", [BRANDS, f"{BRANDS}acme/", CATEGORIES, f"{CATEGORIES}food/"])
def test_kept_answers_and_their_etags_follow_the_products(address: str, ask: Ask) -> None:
    before = warm(ask, address)
    assert ask(address)[1]["X-Cache"] == "hit"
    Product.objects.filter(brand__slug="acme").update(status="archived")
    after = ask(address)
    assert (after[1]["X-Cache"], after[2] != before[2], after[1]["ETag"] != before[1]["ETag"]) == ("miss", True, True)
    warm(ask, f"{address}?fields=slug")
    Product.objects.update(status="active")
    assert ask(f"{address}?fields=slug")[1]["X-Cache"] == "hit", "nobody asked for a count"


STEPS: list[Any] = [
    lambda: Product.objects.filter(pk__in=pick(3)).update(brand=one_of(Brand)),
    lambda: Product.objects.filter(pk__in=pick(3)).update(category=one_of(Category), brand=None),
    lambda: Product.objects.filter(pk__in=pick(4)).update(status="draft"),
    lambda: Product.objects.filter(pk__in=pick(4)).update(status="active", price=7),
    lambda: Product.objects.filter(pk__in=pick(2)).delete(),
    lambda: [make_product(brand=one_of(Brand), category=one_of(Category)) for _ in range(2)],
    fold_tallies,
    recount,
]
RANDOM = Random(19)


def pick(number: int) -> list[int]:
    keys = list(Product.objects.order_by("pk").values_list("pk", flat=True))
    return RANDOM.sample(keys, min(number, len(keys)))


def one_of(model: type[Brand | Category]) -> Any:
    return RANDOM.choice(list(model.objects.order_by("pk")))


@pytest.mark.usefixtures("shop")
def test_whatever_is_written_the_tallies_are_true(client: APIClient) -> None:
    @settings(deadline=None, max_examples=15)  # the database's time
    @given(st.lists(st.integers(0, len(STEPS) - 1), max_size=8))
    def write(steps: list[int]) -> None:
        for step in steps:
            STEPS[step]()
        active = Product.objects.only_active()
        brands = {brand.slug: active.filter(brand=brand).count() for brand in Brand.objects.all()}
        assert read(client, BRANDS) == brands
        categories = {row.slug: active.in_category(row.slug).count() for row in Category.objects.all()}
        assert read(client, CATEGORIES) == categories
        assert recount() == 0

    write()


@pytest.mark.usefixtures("shop")
def test_folding_leaves_one_row_for_each_that_has_products(client: APIClient) -> None:
    before = read(client, BRANDS), read(client, CATEGORIES)
    Product.objects.filter(status="draft").update(status="active")
    Product.objects.filter(brand__slug="acme", category=None).update(status="draft")
    assert Tally.objects.count() > 4
    assert fold_tallies() > 0
    assert sorted(Tally.objects.values_list("kind", "number")) == [("brand", 2), ("category", 1), ("category", 2)]
    assert (read(client, BRANDS), read(client, CATEGORIES)) == before
    assert fold_tallies() == 0


@pytest.mark.usefixtures("shop")
def test_what_was_written_past_the_triggers_is_counted_again(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "BATCH", 1)
    before = read(client, BRANDS), read(client, CATEGORIES)
    Tally.objects.filter(kind="brand").delete()
    Tally.objects.filter(kind="category").update(number=7)
    assert recount() == 3
    assert (read(client, BRANDS), read(client, CATEGORIES)) == before
    assert recount() == 0


@pytest.mark.usefixtures("shop")
def test_tallies_are_not_logged_and_a_price_appends_none() -> None:
    before = list(Tally.objects.values_list("pk", flat=True))
    Product.objects.update(price=9, rating=4)
    assert list(Tally.objects.values_list("pk", flat=True)) == before
    assert "tally" not in list_entities()


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no TRUNCATE")
@pytest.mark.usefixtures("shop")
def test_a_truncated_table_has_no_products(client: APIClient) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # nothing may be pending
        cursor.execute("TRUNCATE catalog_product CASCADE")
    assert read(client, BRANDS) == {"acme": 0, "zeta": 0}


@pytest.mark.usefixtures("shop")
def test_facets_of_a_whole_catalogue_are_exact(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.facets.counts.MOST_READ", 1)
    monkeypatch.setattr("catalog.facets.counts.DRAWS", 2)
    facets = client.get("/api/v1/products/facets/?facets=brand,category,in_stock&brand=acme").json()["facets"]
    relations = {name: {each["count_relation"] for each in facets[name]["values"]} for name in facets}
    assert relations == {"brand": {"eq"}, "category": {"approx"}, "in_stock": {"approx"}}
    facets = client.get("/api/v1/products/facets/?facets=brand,category").json()["facets"]
    assert {name: [(each["value"], each["count"]) for each in facets[name]["values"]] for name in facets} == {
        "brand": [("acme", 2)], "category": [("food", 3), ("food-tea", 2)],
    }  # fmt: skip
