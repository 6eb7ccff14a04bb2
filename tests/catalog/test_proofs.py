"""A list that tallies or an index prove to be empty is empty at once, and no other list is."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from catalog.filters import ProductFilters
from catalog.models import Attribute, Brand, Category, Product, Tally, TallyChange
from catalog.tallies import folding, triggers
from catalog.tallies.folding import fold_tallies, recount
from config.api.database.statements import Statement
from config.api.reads import unserved
from config.api.reads.counting import walk_plan
from config.api.reads.filtering import narrow_rows
from config.api.reads.list_plans import cut_slice
from tests.factories import make_brand, make_category, make_product
from tests.together import run_together

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="PostgreSQL: needs TEST_BACKEND=production"),
]

URL = "/api/v1/products/"
CATEGORIES = ("food", "food-tea", "home")
# Filters, and the same of a queryset.
FILTERS: dict[str, Any] = {
    "brand=acme": {"brand__slug": "acme"},
    "brand=acme,zeta": {"brand__slug__in": ["acme", "zeta"]},
    "attr.color=Red": {"attributes__color": "Red"},
    "attr.color=Red,Tan": {"attributes__color__in": ["Red", "Tan"]},
    "attr.size=2.5": {"attributes__size": 2.5},
    "attr.size=1e-7": {"attributes__size": 1e-7},
    "attr.size=450": {"attributes__size": 450},
    "attr.organic=true": {"attributes__organic": True},
    "on_sale=true": {"compare_at_price__gt": 5},
}
SIZES = [2.5, 1e-7, 450, 450.0, "450", None]


@pytest.fixture(autouse=True)
def shop(db: None) -> None:
    for name, kind in (("color", "text"), ("size", "number"), ("organic", "boolean")):
        Attribute.objects.create(name=name, type=kind)
    for name in ("Acme", "Zeta"):
        make_brand(name)
    for path in (("Food",), ("Food", "Tea"), ("Home",)):
        make_category(*path)


def add_product(random: Random, status: str = "active") -> Product:
    return make_product(
        brand=random.choice([None, *Brand.objects.order_by("pk")]),
        category=random.choice([None, *Category.objects.order_by("pk")]),
        status=status,
        price=5,
        compare_at_price=random.choice([None, 5, 9]),
        attributes={
            "color": random.choice(["Red", "Tan", "red"]), "size": random.choice(SIZES),
            "organic": random.choice([True, False, "true"]),
        },
        images=0,
    )  # fmt: skip


def choose_rows(query: str) -> Any:
    """The rows of a list for anybody, with what may prove that there are none."""
    given = dict(part.split("=", 1) for part in query.split("&"))
    return narrow_rows(ProductFilters, given, Product.objects.only_active()).order_by("-created_at", "-pk")


def run_page(rows: Any) -> tuple[int, set[str]]:
    """How many rows the first page has, and the tables that its statement did read."""
    statement = Statement.compile(cut_slice(rows.values_list("pk"), rows, 0, 51))
    assert statement
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", statement.parameters)
        [[plan]] = cursor.fetchone()
    nodes = [node for node in walk_plan(plan["Plan"]) if node["Actual Loops"]]
    return plan["Plan"]["Actual Rows"], {node["Relation Name"] for node in nodes if "Relation Name" in node}


@pytest.mark.parametrize("trusted", [0, unserved.TRUSTED_COST])
def test_every_list_has_the_rows_that_match_whatever_was_written(
    trusted: int, client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unserved, "TRUSTED_COST", trusted)
    random = Random(19)
    steps: list[Callable[[], Any]] = [
        lambda: add_product(random),
        lambda: add_product(random, status="draft"),
        lambda: Product.objects.filter(pk__in=Product.objects.order_by("?").values("pk")[:1]).delete(),
        lambda: Product.objects.filter(brand__slug="acme").update(brand=Brand.objects.get(slug="zeta")),
        lambda: Product.objects.filter(status="draft").update(status="active", compare_at_price=9),
        lambda: Product.objects.filter(category__slug="food").update(category=Category.objects.get(slug="home")),
        lambda: Category.objects.filter(slug="food-tea").update(parent=Category.objects.get(slug="home")),
        fold_tallies,
        recount,
    ]
    add_product(random)
    for step in [*steps, *random.choices(steps, k=3)]:
        step()
        add_product(random)
        slug = random.choice(CATEGORIES)
        inside = Category.objects.subtree(slug).values("pk")
        for query, filters in FILTERS.items():
            rows = Product.objects.filter(status="active", category__in=inside, **filters)
            page = client.get(f"{URL}?category={slug}&{query}&fields=id&ordering=id&count=bounded").json()
            expected = sorted(rows.values_list("pk", flat=True))
            assert ([row["id"] for row in page["results"]], page["count"]) == (expected, len(expected)), (slug, query)


@pytest.mark.parametrize("query", [*FILTERS, "brand=acme&attr.color=Red", "status=active&brand=acme"])
def test_products_are_not_read_if_none_can_match(query: str) -> None:
    make_product(category=Category.objects.get(slug="food"))
    rows, tables = run_page(choose_rows(f"category=food&{query}"))
    assert rows == 0
    # An index with the products on sale tells it.
    assert ("catalog_product" in tables) == (query == "on_sale=true"), tables


@pytest.mark.parametrize("color", ["Red", "L" * 101])
def test_nothing_is_proven_of_values_that_are_not_counted(color: str, monkeypatch: pytest.MonkeyPatch) -> None:
    food = Category.objects.get(slug="food")
    make_product(category=food, attributes={"color": "Tan"})
    make_product(category=food, attributes={"color": "Blue"})
    if color == "Red":
        monkeypatch.setattr(folding, "MARK", folding.MARK.replace(str(triggers.MOST_VALUES), "1"))
        fold_tallies()
    make_product(category=food, attributes={"color": color})
    assert not TallyChange.objects.filter(key=color).exists()
    assert run_page(choose_rows(f"category=food&attr.color={color}"))[0] == 1


def test_nothing_is_proven_of_categories_that_were_filled_past_the_triggers() -> None:
    make_product(category=Category.objects.get(slug="food"), brand=Brand.objects.get(slug="acme"))
    TallyChange.objects.all().delete()
    Tally.objects.all().delete()
    assert run_page(choose_rows("category=food&brand=acme"))[0] == 1


def test_staff_find_drafts_which_no_tally_counts(staff: APIClient) -> None:
    make_product(category=Category.objects.get(slug="food"))
    make_product(category=Category.objects.get(slug="food"), brand=Brand.objects.get(slug="acme"), status="draft")
    for query, number in (("", 1), ("&status=draft", 1), ("&status=active", 0), ("&status=active,draft", 1)):
        assert len(staff.get(f"{URL}?category=food&brand=acme{query}").json()["results"]) == number, query


@pytest.mark.django_db(transaction=True)
def test_a_list_has_its_products_while_their_tallies_are_folded() -> None:
    """They go from one table to the other; others see each number in one of them, never in none."""
    make_product(category=Category.objects.get(slug="food"), attributes={"color": "Red"}, images=0)
    pages: list[list[int]] = []

    def look(execute: Any, *call: Any) -> Any:
        found = execute(*call)
        pages.append(run_together([read]))
        return found

    def read() -> int:
        return len(APIClient().get(f"{URL}?category=food&attr.color=Red&fields=id").json()["results"])

    with connection.execute_wrapper(look):
        assert fold_tallies()
    assert {number for page in pages for number in page} == {1}
