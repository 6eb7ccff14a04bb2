"""How many products brands and categories have: whoever writes, whatever is moved, however they are folded."""

import json
from random import Random
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from catalog.changes.entities import list_entities
from catalog.models import Attribute, Brand, Category, Product, Tally, TallyChange
from catalog.tallies import folding, triggers
from catalog.tallies.folding import find_wrong_tallies, fold_tallies, recount
from catalog.tallies.triggers import WHOLE
from config.api.database.authorship import sign_writes
from tests.factories import make_brand, make_category, make_product
from tests.gates import Ask, warm
from tests.together import run_together

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
    before = warm(ask, address)
    Product.objects.update(title="New", rating=2)
    after = ask(address)
    assert (after[1]["X-Cache"], after[2]) == ("hit", before[2]), "no product came, went or moved"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("keeps", [True, False])
def test_kept_counts_are_those_of_now_whatever_is_written(keeps: bool, ask: Ask) -> None:
    """Also if the log doesn't keep what rows were before."""

    @settings(deadline=None, max_examples=4, phases=[Phase.generate])  # the database's time
    @given(st.lists(st.integers(0, len(STEPS) - 3), max_size=8))
    def write(steps: list[int]) -> None:
        for step in steps:
            STEPS[step]()
            counts = {row["slug"]: row["product_count"] for row in json.loads(warm(ask, BRANDS)[2])["results"]}
            assert counts == {row.slug: row.products.only_active().count() for row in Brand.objects.all()}

    with sign_writes(keep_before=keeps):
        write()


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


@pytest.mark.slow
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


def list_tallies(**of: Any) -> list[tuple[str, str, int]]:
    return sorted(Tally.objects.filter(**of).values_list("kind", "key", "number"))


@pytest.mark.usefixtures("shop")
def test_folding_leaves_one_row_for_each_value(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "BATCH_ROWS", 7)
    before = read(client, BRANDS), read(client, CATEGORIES)
    Product.objects.filter(status="draft").update(status="active")
    Product.objects.filter(brand__slug="acme", category=None).update(status="draft", attributes={"color": "Red"})
    appended = TallyChange.objects.count()
    assert fold_tallies() == appended > 7
    assert not TallyChange.objects.exists()
    acme, tea, food = (
        Brand.objects.get(slug="acme").pk,
        *Category.objects.order_by("-slug")[1:].values_list("pk", flat=True),
    )
    assert [row for row in list_tallies(category=WHOLE) if row[2]] == [
        ("brand", str(acme), 2), *sorted(("category", str(key), number) for key, number in ((tea, 2), (food, 1))),
        ("in_stock", "true", 3), ("price", "4", 3), ("rating", "0", 3),
    ]  # fmt: skip
    assert [row for row in list_tallies(category=food) if row[2]] == [
        ("brand", str(acme), 1), ("category", str(food), 1), ("in_stock", "true", 1), ("price", "4", 1),
        ("rating", "0", 1),
    ]  # fmt: skip
    assert (read(client, BRANDS), read(client, CATEGORIES)) == before
    assert fold_tallies() == 0


@pytest.mark.usefixtures("shop")
def test_what_was_written_past_the_triggers_is_counted_again(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "BATCH", 1)
    before = read(client, BRANDS), read(client, CATEGORIES)
    fold_tallies()
    Tally.objects.filter(kind="brand").delete()
    assert [detail for detail, _ in find_wrong_tallies()], "doctor doesn't name it"
    Tally.objects.filter(kind="category").update(number=7)
    assert recount() > 3
    assert list(find_wrong_tallies()) == []
    assert (read(client, BRANDS), read(client, CATEGORIES)) == before
    assert recount() == 0
    assert not Tally.objects.filter(number=0).exists()


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("address", [BRANDS, "/api/v1/products/facets/?facets=brand"])
def test_kept_answers_follow_a_correction(address: str, client: APIClient, ask: Ask) -> None:
    fold_tallies()
    Tally.objects.filter(kind="brand").update(number=7)
    wrong = warm(ask, address)[2]
    assert (ask(address)[1]["X-Cache"], recount() > 0) == ("hit", True)
    right = warm(ask, address)[2]
    assert recount() == 0
    assert ask(address)[1]["X-Cache"] == "hit"
    assert right == client.get(address).content != wrong


FACETS = "/api/v1/products/facets/?facets=attr.color,attr.size"


def count_colors(client: APIClient, address: str = FACETS) -> dict[str, tuple[int, str]]:
    values = client.get(address).json()["facets"]["attr.color"]["values"]
    return {each["value"][:3]: (each["count"], each["count_relation"]) for each in values}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are read are no more than drawn."""
    monkeypatch.setattr("catalog.facets.counts.MOST_READ", 0)
    monkeypatch.setattr("catalog.facets.counts.DRAWS", 1)


@pytest.mark.usefixtures("drawn")
def test_attributes_with_long_or_with_many_values_are_not_tallied(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    Attribute.objects.bulk_create([Attribute(name="color"), Attribute(name="size", type="number")])
    for color in ("Red", "Red", "Tan"):
        make_product(attributes={"color": color, "size": 2.50, "note": "x" * 300})
    fold_tallies()
    assert count_colors(client) == {"Red": (2, "eq"), "Tan": (1, "eq")}
    long = make_product(attributes={"color": "L" * 101})
    assert {relation for _, relation in count_colors(client).values()} == {"approx"}
    long.delete()
    assert count_colors(client) == {"Red": (2, "eq"), "Tan": (1, "eq")}

    monkeypatch.setattr(folding, "MARK", folding.MARK.replace(str(triggers.MOST_VALUES), "1"))
    make_product()
    fold_tallies()
    assert {relation for _, relation in count_colors(client).values()} == {"approx"}
    make_product(attributes={"color": "Red"})
    assert not TallyChange.objects.filter(kind="text.color").exists()
    sizes = client.get(FACETS).json()["facets"]["attr.size"]["values"]
    assert [(each["value"], each["count"], each["count_relation"]) for each in sizes] == [("2.5", 3, "eq")]
    assert list(find_wrong_tallies()) == []
    recount()
    assert [row[:2] for row in list_tallies(kind="text.color")] == [("text.color", "")]


@pytest.mark.usefixtures("shop")
def test_tallies_are_not_logged_and_a_price_appends_none_within_its_range() -> None:
    before = TallyChange.objects.count()
    Product.objects.update(price=12, rating=0.5)
    assert TallyChange.objects.count() == before
    assert not {"tally", "tallychange"} & set(list_entities())


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_writers_of_one_brand_do_not_wait_for_each_other(client: APIClient) -> None:
    acme = make_brand("Acme")
    products = [make_product(brand=acme, category=make_category("Food")) for _ in range(2)]

    def write(key: int) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        return Product.objects.filter(pk=key).update(status="draft", brand=None)

    with transaction.atomic():
        write(products[0].pk)
        assert run_together([lambda: write(products[1].pk)]) == [1]
        fold_tallies()
    assert read(client, BRANDS) == {"acme": 0}


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no TRUNCATE")
@pytest.mark.usefixtures("shop")
def test_a_truncated_table_has_no_products(client: APIClient) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # nothing may be pending
        cursor.execute("TRUNCATE catalog_product CASCADE")
    assert read(client, BRANDS) == {"acme": 0, "zeta": 0}


@pytest.mark.usefixtures("shop", "drawn")
def test_facets_of_a_whole_catalogue_or_of_a_category_are_exact(client: APIClient, staff: APIClient) -> None:
    def ask(caller: APIClient, query: str) -> dict[str, dict[str, int]]:
        facets = caller.get(f"/api/v1/products/facets/?facets=brand,category,rating,in_stock&{query}").json()["facets"]
        exact = {name: facet for name, facet in facets.items() if is_exact(facet)}
        return {name: {each["value"]: each["count"] for each in facet["values"]} for name, facet in exact.items()}

    whole = {"brand": {"acme": 2}, "category": {"food": 3, "food-tea": 2}, "rating": {}, "in_stock": {"true": 3}}
    assert ask(client, "") == whole
    assert ask(staff, "status=active") == whole
    assert ask(client, "category=food-tea") == {
        "brand": {"acme": 1}, "category": {"food": 3, "food-tea": 2}, "rating": {}, "in_stock": {"true": 2},
    }  # fmt: skip
    assert set(ask(client, "brand=acme")) == {"brand", "rating"}
    assert "rating" not in ask(client, "rating_min=4.25")
    ends = client.get("/api/v1/products/facets/?facets=price&category=food").json()["facets"]["price"]
    assert (ends["min"], ends["max"], ends["ranges"][0]["count_relation"]) == ("10.00", "10.00", "eq")


def is_exact(facet: Any) -> bool:
    return {each["count_relation"] for each in facet["values"]} <= {"eq"}
