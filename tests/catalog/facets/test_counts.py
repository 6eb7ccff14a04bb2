"""Facets against counts made the plain way: each value alone as the facet's filter, counted by the list's filters."""

import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog.facets import counts
from catalog.facets.counts import DRAWS, FEW, Read, RowSet
from catalog.facets.kinds import LIMITS
from catalog.facets.plans import plan_facets
from catalog.filters import ProductFilters
from catalog.models import Attribute, Brand, Category, Product
from catalog.querysets import ProductQuerySet
from catalog.tallies.folding import fold_batch
from config.api.reads.filtering import join_values, narrow_rows, split_values
from tests.factories import make_brand, make_category

pytestmark = pytest.mark.django_db

COLORS = ["Olive", "Black, matt", "Black", "50%"]
WEIGHTS = ["450", "1.5", "0"]

# The values that a request may choose of each parameter.
VALUES: dict[str, list[str]] = {
    "brand": ["acme", "zeta", "mono"],
    "brand.not": ["acme", "zeta"],
    "category": ["food", "food-tea", "home"],
    "category.not": ["food-tea", "home"],
    "status": ["active", "draft"],
    "attr.color": COLORS,
    "attr.color.not": COLORS[:2],
    "attr.weight": WEIGHTS,
}
ONE_VALUE: dict[str, list[str]] = {
    "price_min": ["0", "5", "24.99"],
    "price_max": ["4.99", "25", "99999"],
    "rating_min": ["0", "2.5", "4"],
    "in_stock": ["true", "false"],
    "on_sale": ["true", "false"],
    "attr.weight.min": ["1", "100"],
    "attr.organic": ["true", "false"],
    "search": ["lamp", "tea"],
}
QUERIES = st.dictionaries(
    st.sampled_from(sorted(VALUES | ONE_VALUE)), st.sets(st.integers(0, 3), min_size=1, max_size=2), max_size=4
)
# The values of each facet, and the parameters that are its own.
FACETS: dict[str, tuple[str, ...]] = {
    "brand": ("brand",),
    "category": ("category",),
    "price": ("price_min", "price_max"),
    "rating": ("rating_min",),
    "in_stock": ("in_stock",),
    "attr.color": ("attr.color",),
    "attr.weight": ("attr.weight", "attr.weight.min", "attr.weight.max"),
    "attr.organic": ("attr.organic",),
}


@pytest.fixture
def shop(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, type_ in (("color", "text"), ("weight", "number"), ("organic", "boolean")):
        Attribute.objects.create(name=name, type=type_)
    brands = [make_brand("Acme"), make_brand("Zeta"), make_brand("Mono"), None]
    paths = [("Food",), ("Food", "Tea"), ("Food", "Tea", "Green"), ("Home",)]
    categories = [*(make_category(*path) for path in paths), None]
    random = Random(19)
    Product.objects.bulk_create(
        make_row(random, number, brand=random.choice(brands), category=random.choice(categories))
        for number in range(90)
    )
    # As after deletions: ids are not without gaps.
    Product.objects.filter(sku__endswith="7").delete()
    # Some of what triggers appended is added up already.
    monkeypatch.setattr("catalog.tallies.folding.BATCH_ROWS", 100)
    fold_batch("default")


def make_row(random: Random, number: int, **links: Any) -> Product:
    attributes = {
        "color": random.choice([*COLORS, "", 7]),
        "weight": random.choice([450, 450.0, 1.5, 0, "450"]),
        "organic": random.choice([True, False, "true"]),
    }
    price = random.choice(["0.00", "0.99", "1.00", "2.49", "2.50", "24.99", "25.00", "99999.00"])
    return Product(
        sku=f"S{number}", slug=f"s{number}", title=random.choice(["Lamp", "Tea"]), price=Decimal(price),
        compare_at_price=random.choice([None, Decimal("3.00")]), in_stock=random.choice([True, False]),
        rating=random.choice([Decimal(0), Decimal("2.50"), Decimal("4.00"), Decimal("4.99")]),
        status=random.choice(["active", "active", "draft"]),
        attributes={name: value for name, value in attributes.items() if random.random() < 0.8}, **links,
    )  # fmt: skip


def build_query(places: Mapping[str, set[int]], **more: str) -> QueryDict:
    query = QueryDict(mutable=True)
    for name, chosen in places.items():
        values = (VALUES | ONE_VALUE)[name]
        picked = [values[place % len(values)] for place in sorted(chosen)]
        query[name] = join_values(dict.fromkeys(picked)) if name in VALUES else picked[0]
    query.update(more)
    return query


def count_plainly(rows: ProductQuerySet, query: QueryDict, facet: str, choice: Mapping[str, str]) -> int:
    """The rows of the list with this choice in place of the facet's own filter."""
    plain = query.copy()
    for name in FACETS[facet]:
        plain.pop(name, None)
    plain.update(choice)
    return int(narrow_rows(ProductFilters, plain, rows).order_by().count())


def list_choices(facet: str, query: QueryDict) -> dict[str, dict[str, str]]:
    """All choices that the facet may show, by what it shows."""
    if facet == "price":
        return {low: {"price_min": low, "price_max": high} for low, high in LIMITS}
    if facet == "rating":
        chosen = [f"{Decimal(query['rating_min']).normalize():f}"] if "rating_min" in query else []
        return {stars: {"rating_min": stars} for stars in ("1", "2", "3", "4", *chosen)}
    values: dict[str, Iterable[str]] = {
        "brand": Brand.objects.values_list("slug", flat=True),
        "category": Category.objects.values_list("slug", flat=True),
        "attr.color": COLORS,
        "attr.weight": WEIGHTS,
    }
    return {value: {facet: join_values([value])} for value in values.get(facet, ("true", "false"))}


def list_shown(facet: str, member: Any) -> dict[str, tuple[int, str]]:
    key, values = ("from", member["ranges"]) if facet == "price" else ("value", member["values"])
    return {each[key]: (each["count"], each["count_relation"]) for each in values}


def check(query: QueryDict, sees_all: bool, relations: set[str]) -> set[str]:
    """The relations that were said."""
    rows = Product.objects.all() if sees_all else Product.objects.only_active()
    plan, said = plan_facets(query, rows, sees_all), set[str]()
    assert plan is not None
    for facet, member in plan.read().items():
        shown = list_shown(facet, member)
        said |= {relation for _, relation in shown.values()}
        true = {
            value: count_plainly(rows, query, facet, choice) for value, choice in list_choices(facet, query).items()
        }
        assert member["more"] == 0
        for value, (count, relation) in shown.items():
            assert relation in relations
            assert relation != "eq" or count == true[value], (query, facet, value)
            assert relation != "gte" or count <= true[value], (query, facet, value)
        if relations == {"eq"}:
            assert {value for value, number in true.items() if number} <= set(shown), (query, facet)
            zeros = {value for value in shown if not true[value]}
            texts = [text for name in FACETS[facet] for text in query.getlist(name)]
            chosen = "\n".join(value for text in texts for value in split_values(text))
            assert all(value in chosen for value in zeros), (query, facet)
    return said


# How many rows are read first, how many ids are drawn, below which number any estimate will do; and what is said then.
WAYS: list[tuple[int, int, int, set[str]]] = [
    (10_000, 40_000, 1_000, {"eq"}),
    (5, 40_000, 1_000, {"eq"}),  # all ids are drawn
    (5, 30, 0, {"eq", "gte"}),
    (5, 30, 1_000, {"eq", "approx"}),
]


# `make test-faults` tries 1,000.
COMBINATIONS = int(os.environ.get("COMBINATIONS", "48"))


@pytest.mark.slow
@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(("first", "draws", "few", "relations"), WAYS)
def test_any_facet_of_any_list_is_what_the_list_counts(
    first: int, draws: int, few: int, relations: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MOST_READ", first)
    monkeypatch.setattr(counts, "DRAWS", draws)
    monkeypatch.setattr(counts, "FEW", few)
    said = set[str]()

    @settings(deadline=None, max_examples=COMBINATIONS // len(WAYS))  # the database's time
    @example({}, set(FACETS), False)
    @example({"category": {0, 2}}, set(FACETS), False)
    @example({"category": {1}, "rating_min": {1}, "status": {0}}, set(FACETS), True)
    @given(QUERIES, st.sets(st.sampled_from(sorted(FACETS)), min_size=1), st.booleans())
    def compare(places: dict[str, set[int]], facets: set[str], sees_all: bool) -> None:
        query = build_query(places, facets=",".join(sorted(facets)), facet_size="200")
        said.update(check(query, sees_all, relations))

    compare()
    assert said == relations


# -- many rows -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.001, 0.02, 0.12, 0.3, 0.9])
def test_what_is_drawn_is_within_its_bound(share: float) -> None:
    """Of ten million rows, one in 250 is drawn."""
    random, rows = Random(7), RowSet(is_whole=False, step=250)
    true = round(share * DRAWS * 250)
    wrong = 0
    for _ in range(2_000):
        count, relation = rows.count(Read(0, random.binomialvariate(DRAWS, share)))
        match relation:
            case "approx":
                wrong += true >= FEW and abs(count - true) > 0.05 * true
            case "gte":
                assert count <= true
    assert wrong <= 6


FILL = """
INSERT INTO catalog_product (sku, slug, title, title_key, brand_id, category_id, status, currency, price, in_stock,
                             rating, image_url, attributes, version, created_at, updated_at)
SELECT 'S' || n, 's' || n, 'T', 't', CASE WHEN n %% 3 = 0 THEN %s WHEN n %% 1000 = 1 THEN %s END, NULL, 'active', 'USD',
       (n * 31) %% 5000 / 100.0, n %% 10 < 7, (n %% 500) / 100.0, '', '{"color": "Olive"}', 1, now(), now()
FROM generate_series(1, %s) n
"""
MANY = 100_000


@pytest.mark.slow
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="it writes 100,000 rows without triggers")
def test_counts_of_many_rows_are_drawn_and_say_so() -> None:
    Attribute.objects.create(name="color")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(FILL, [make_brand("Acme").pk, make_brand("Rare").pk, MANY])
        cursor.execute("ANALYZE catalog_product")
    query = QueryDict("facets=brand,price,rating,in_stock,attr.color&facet_size=200&price_min=0")
    plan = plan_facets(query, Product.objects.all(), sees_all=True)
    assert plan is not None
    facets = plan.read()
    shown = {name: list_shown(name, member) for name, member in facets.items()}
    assert {value: relation for value, (_, relation) in shown["brand"].items()} == {"acme": "approx", "rare": "approx"}
    true = {"acme": MANY // 3, "true": MANY * 7 // 10, "false": MANY * 3 // 10, "Olive": MANY}
    for name, values in shown.items():
        for value, (count, relation) in values.items():
            if value in true:
                assert relation == "approx", (name, value)
                assert abs(count - true[value]) <= 0.05 * true[value], (name, value)
    # 2,000 to 5,000 rows each.
    assert {shown["price"][low][1] for low in ("0.00", "1.00", "2.50")} == {"gte"}
