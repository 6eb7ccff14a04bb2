"""Look-ups: a product by its slug, variants of all products, brands and categories by name and place."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from catalog.models import Variant
from tests.factories import make_brand, make_category, make_product
from tests.gates import Ask, warm

pytestmark = pytest.mark.django_db

API = "/api/v1/"
BY_SLUG = f"{API}products/by-slug/"


@pytest.mark.parametrize("query", ["", "?expand=brand,variants.stock", "?fields=id,description"])
def test_a_product_by_its_slug_is_the_product_by_its_id(query: str, client: APIClient) -> None:
    product = make_product(slug="green-tea", brand=make_brand("Acme"), description="Steamed.")
    by_slug, by_id = client.get(f"{BY_SLUG}green-tea/{query}"), client.get(f"{API}products/{product.pk}/{query}")
    assert (by_slug.status_code, by_slug.content, by_slug["ETag"]) == (200, by_id.content, by_id["ETag"])
    assert client.get(f"{BY_SLUG}green-tea/{query}", HTTP_IF_NONE_MATCH=by_id["ETag"]).status_code == 304


def test_a_slug_is_found_in_either_form_and_a_draft_by_staff_only(client: APIClient, staff: APIClient) -> None:
    make_product(slug="caf\u00e9")
    make_product(slug="draft", status="draft")
    assert client.get(f"{BY_SLUG}cafe\u0301/").status_code == 200
    assert (client.get(f"{BY_SLUG}draft/").status_code, staff.get(f"{BY_SLUG}draft/").status_code) == (404, 200)
    assert client.get(f"{BY_SLUG}nothing/").json()["code"] == "not_found"
    assert client.get(f"{BY_SLUG}draft/?ordering=id").json()["code"] == "unknown_parameter"


def test_a_kept_answer_by_slug_follows_the_product(ask: Ask) -> None:
    product = make_product(slug="tea", title="Tea")
    warm(ask, f"{BY_SLUG}tea/")
    assert ask(f"{BY_SLUG}tea/")[1]["X-Cache"] == "hit"
    type(product).objects.update(title="Sencha")
    assert b"Sencha" in ask(f"{BY_SLUG}tea/")[2]


# -- variants --------------------------------------------------------------------------------------------------------


@pytest.fixture
def variants(db: None) -> dict[str, int]:
    """Ids of products by the SKU of their first variant. B is sold out, and D is a draft's."""
    keys = {
        sku: make_product(sku=sku, price=price, stock=stock, status=status, variants=count).pk
        for sku, price, stock, status, count in (
            ("A", "5.00", 3, "active", 2), ("B", "7.00", 0, "active", 1), ("D", "9.00", 1, "draft", 1)
        )
    }  # fmt: skip
    Variant.objects.filter(sku="B").update(barcode="4006381333931")
    return keys


FOUND = {
    "": "A A-2 B D",
    "sku=A,B,X": "A B",
    "sku=A&sku=D": "A D",
    "barcode=4006381333931": "B",
    "product={A}": "A A-2",
    "product={A},{D}": "A A-2 D",
    "product=999999": "",
    "price_min=5&price_max=7": "A A-2 B",
    "price_min=7.01": "D",
    "in_stock=true": "A A-2 D",
    "in_stock=false": "B",
    "in_stock=true&product={A},{B}": "A A-2",
    "updated_since={later}": "",
    "updated_since=2000-01-01": "A A-2 B D",
    "updated_since=2000-01-01&ordering=-updated_at&page_size=1": "B",
}


def test_variants_are_filtered(variants: dict[str, int], staff: APIClient, client: APIClient) -> None:
    values = variants | {"later": f"{timezone.now() + timedelta(days=1):%Y-%m-%d}"}
    assert {query: find(staff, query.format(**values)) for query in FOUND} == FOUND
    assert find(client, "") == "A A-2 B"


def find(caller: APIClient, query: str) -> str:
    answer = caller.get(f"{API}variants/?fields=sku&{query}")
    assert answer.status_code == 200, answer.json()
    return " ".join(row["sku"] for row in answer.json()["results"])


def test_a_walk_sees_every_variant_once_with_its_stock(variants: dict[str, int], client: APIClient) -> None:
    url, rows = f"{API}variants/?page_size=2&expand=stock", list[Any]()
    while url:
        page = client.get(url).json()
        rows += page["results"]
        url = page["next"]
    assert [(row["sku"], row["stock"][0]["on_hand"]) for row in rows] == [("A", 3), ("A-2", 3), ("B", 0)]
    assert rows[2] == client.get(rows[2]["url"], {"expand": "stock"}).json()


def test_the_export_of_variants_takes_the_same_filters(variants: dict[str, int], staff: APIClient) -> None:
    lines = staff.get(f"{API}exports/variants.csv?in_stock=false&fields=sku").getvalue().decode().split()
    assert lines == ["sku", "B"]


# -- small lists -----------------------------------------------------------------------------------------------------


@pytest.fixture
def names(db: None) -> None:
    for brand in ("Caf\u00e9 Noir", "Acme", "Noir & Co", "100% Tea"):
        make_brand(brand)
    for path in (("Food", "Tea", "Green"), ("Food", "Coffee"), ("Home", "Tea Pots")):
        make_category(*path)


SLUGS = {
    "brands/?search=cafe": {"caf\u00e9-noir"},
    "brands/?search=NOIR": {"caf\u00e9-noir", "noir-&-co"},
    "brands/?search=noir caf\u00c9": {"caf\u00e9-noir"},
    "brands/?search=100%25": {"100%-tea"},
    "brands/?search=nothing": set(),
    "brands/?search=": {"caf\u00e9-noir", "acme", "noir-&-co", "100%-tea"},
    "categories/?search=tea": {"food-tea", "home-tea-pots"},
    "categories/?search=tea&parent=food": {"food-tea"},
    "categories/?parent=food": {"food-tea", "food-coffee"},
    "categories/?parent=food,home": {"food-tea", "food-coffee", "home-tea-pots"},
    "categories/?parent=food-coffee": set(),
    "categories/?depth=1": {"food", "home"},
    "categories/?depth=1,3": {"food", "home", "food-tea-green"},
    "categories/?depth=2&parent=home": {"home-tea-pots"},
}


@pytest.mark.usefixtures("names")
def test_brands_and_categories_are_found_by_name_and_place(client: APIClient) -> None:
    found = {query: {row["slug"] for row in client.get(f"{API}{query}").json()["results"]} for query in SLUGS}
    assert found == SLUGS


REFUSED = {
    "brands/?search=%25": ("?search", "It must have a letter or a digit."),
    "categories/?parent=fod": ("?parent", "There is no category with the slug 'fod'."),
    "categories/?depth=0": ("?depth", "'0' is not one of 1, 2,"),
    "categories/?depht=1": ("?depht", "depht is not a parameter of this address."),
    "variants/?product=x": ("?product", "'x' is not an id: ids are whole numbers."),
    "variants/?in_stock=yes": ("?in_stock", "'yes' is not one of true, false."),
    "variants/?ordering=price": ("?ordering", "'price' is not one of id,"),
}


@pytest.mark.usefixtures("names")
def test_slips_are_refused_by_name(client: APIClient) -> None:
    for query, (pointer, detail) in REFUSED.items():
        answer = client.get(f"{API}{query}")
        fault = answer.json()["errors"][0]
        assert (answer.status_code, fault["pointer"]) == (400, pointer), query
        assert fault["detail"].startswith(detail), fault
