"""`products/facets/` and `facets` beside a list: what they show, what they refuse, and that they follow every write."""

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from catalog.facets.statements import DRAWING, READING, SEARCH_LIMIT
from catalog.models import Attribute, Brand, Product
from config.api.database.statements import Statement
from config.api.problems.errors import DEAR_MS, FacetsTooDear
from tests.factories import make_brand, make_category, make_product
from tests.gates import Ask, warm

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/facets/"
LIST = "/api/v1/products/"
ALL = ["brand", "category", "price", "rating", "in_stock", "attr.color", "attr.organic", "attr.weight"]


@pytest.fixture
def shop(db: None) -> None:
    for name, type_ in (("color", "text"), ("weight", "number"), ("organic", "boolean")):
        Attribute.objects.create(name=name, type=type_)
    acme, zeta = make_brand("Acme"), make_brand("Zeta")
    tea, coffee = make_category("Food", "Tea"), make_category("Food", "Coffee")
    rows: Any = (
        ("2.90", 1, {"brand": acme, "category": tea, "rating": "4.50"}, {"color": "Olive", "weight": 450}),
        ("24.99", 0, {"brand": acme, "category": coffee, "rating": "3.00"}, {"color": "Olive", "weight": 450.0}),
        ("25.00", 1, {"brand": zeta, "category": tea}, {"color": "Black, matt", "weight": 1.5, "organic": True}),
        ("1071.00", 1, {}, {"color": "", "weight": "450", "organic": "yes"}),
    )
    for price, stock, fields, attributes in rows:
        make_product(price=price, stock=stock, attributes=attributes, **fields)
    make_product(brand=zeta, status="draft", price="5.00")


def count(value: str, number: int, label: str = "", relation: str = "eq") -> dict[str, Any]:
    return {"value": value, "label": label or value, "count": number, "count_relation": relation}


def list_counts(member: Any) -> dict[str, int]:
    return {each["value"]: each["count"] for each in member["values"]}


@pytest.mark.usefixtures("shop")
def test_each_facet_has_its_values_the_most_frequent_first(client: APIClient) -> None:
    facets = client.get(URL).json()["facets"]
    assert list(facets) == ALL
    assert facets["brand"] == {"values": [count("acme", 2, "Acme"), count("zeta", 1, "Zeta")], "more": 0}
    assert facets["category"]["values"] == [
        count("food", 3, "Food"), count("food-tea", 2, "Tea"), count("food-coffee", 1, "Coffee")
    ]  # fmt: skip
    ranges = [("2.50", "4.99"), ("10.00", "24.99"), ("25.00", "49.99"), ("1000.00", "2499.99")]
    assert facets["price"] == {
        "min": "2.90",
        "max": "1071.00",
        "ranges": [{"from": low, "to": high, "count": 1, "count_relation": "eq"} for low, high in ranges],
        "more": 0,
    }
    assert facets["rating"]["values"] == [
        count(stars, number, f"{stars} and up") for stars, number in (("1", 2), ("2", 2), ("3", 2), ("4", 1))
    ]
    assert facets["in_stock"]["values"] == [count("true", 3, "In stock"), count("false", 1, "Sold out")]
    assert facets["attr.color"]["values"] == [count("Olive", 2), count("Black, matt", 1)]
    assert facets["attr.weight"]["values"] == [count("450", 2), count("1.5", 1)]
    assert facets["attr.organic"]["values"] == [count("true", 1)]


@pytest.mark.usefixtures("shop")
def test_a_facet_is_counted_without_its_own_filter_and_with_the_others(client: APIClient) -> None:
    query = {"brand": "acme", "attr.color": "Olive", "price_max": "10", "rating_min": "4"}
    facets = client.get(URL, query).json()["facets"]
    assert list_counts(facets["brand"]) == {"acme": 1}
    assert list_counts(facets["attr.color"]) == {"Olive": 1}
    assert [each["from"] for each in facets["price"]["ranges"]] == ["2.50"]
    assert list_counts(facets["category"]) == {"food": 1, "food-tea": 1}
    query = {"brand": "acme", "facets": "brand,rating"}
    facets = client.get(URL, query).json()["facets"]
    assert list_counts(facets["brand"]) == {"acme": 2, "zeta": 1}
    assert list_counts(facets["rating"]) == {"1": 2, "2": 2, "3": 2, "4": 1}


@pytest.mark.usefixtures("shop")
def test_what_is_chosen_stays_in_the_list(client: APIClient) -> None:
    make_category("Home")
    query = {
        "brand": "zeta", "category": "home", "rating_min": "4.75", "in_stock": "false", "attr.color": "Red",
        "attr.weight": "1.50,7", "facet_size": "1", "facets": ",".join(ALL),
    }  # fmt: skip
    facets = client.get(URL, query).json()["facets"]
    shown = {name: [each["value"] for each in facets[name]["values"]] for name in ALL if name != "price"}
    assert shown == {
        "brand": ["zeta"], "category": ["home"], "rating": ["4.75"], "in_stock": ["false"], "attr.color": ["Red"],
        "attr.organic": [], "attr.weight": ["1.5", "7"],
    }  # fmt: skip
    assert facets["category"]["values"] == [count("home", 0, "Home")]
    assert facets["price"] == {"min": None, "max": None, "ranges": [], "more": 0}
    facets = client.get(URL, {"brand": "zeta", "facet_size": "1", "attr.weight": "1.50"}).json()["facets"]
    assert [each["value"] for each in facets["attr.weight"]["values"]] == ["1.5"]


@pytest.mark.usefixtures("shop")
def test_more_says_how_many_values_are_left_out(client: APIClient) -> None:
    facets = client.get(URL, {"facet_size": "1"}).json()["facets"]
    assert {name: facets[name]["more"] for name in ALL} == {
        "brand": 1, "category": 2, "price": 3, "rating": 3, "in_stock": 1, "attr.color": 1, "attr.organic": 0,
        "attr.weight": 1,
    }  # fmt: skip
    facets = client.get(URL, {"facet_size": "1", "brand": "zeta"}).json()["facets"]
    assert (list_counts(facets["brand"]), facets["brand"]["more"]) == ({"acme": 2, "zeta": 1}, 0)


@pytest.mark.usefixtures("shop")
def test_a_list_has_the_same_facets_beside_its_results(client: APIClient) -> None:
    query = {"brand": "acme", "facets": "brand,attr.color", "page_size": "1", "fields": "id"}
    page = client.get(LIST, query).json()
    assert list(page) == ["results", "next", "previous", "next_cursor", "facets"]
    assert page["facets"] == client.get(URL, {"brand": "acme", "facets": "brand,attr.color"}).json()["facets"]
    following = client.get(page["next"]).json()
    assert (following["facets"], following["results"][0]["id"]) == (page["facets"], page["results"][0]["id"] - 1)
    # A client asks for facets on the first page only.
    assert "facets" not in client.get(LIST, {"brand": "acme", "cursor": page["next_cursor"]}).json()
    found = client.get(LIST, {"search": "product", "facets": "brand"}).json()
    assert (found["count"], list_counts(found["facets"]["brand"])) == (4, {"acme": 2, "zeta": 1})


@pytest.mark.usefixtures("shop")
def test_drafts_count_for_those_who_see_them(client: APIClient, staff: APIClient) -> None:
    query = {"facets": "brand"}
    assert list_counts(client.get(URL, query).json()["facets"]["brand"]) == {"acme": 2, "zeta": 1}
    assert list_counts(staff.get(URL, query).json()["facets"]["brand"]) == {"acme": 2, "zeta": 2}
    assert list_counts(staff.get(URL, query | {"status": "draft"}).json()["facets"]["brand"]) == {"zeta": 1}


REFUSED = {
    "facets=colour": ("?facets", "'colour' is not a facet.", "Known here: attr.color,"),
    "facets=brand,attr.colour": ("?facets", "'attr.colour' is not a facet.", "Did you mean attr.color?"),
    "facet_size=0": ("?facet_size", "'0' is not a whole number from 1 to 200.", ""),
    "facet_size=201&facets=brand": ("?facet_size", "'201' is not a whole number from 1 to 200.", ""),
    "facets=brand&brand=acmee": ("?brand", "There is no brand with the slug 'acmee'.", "Did you mean acme?"),
    "facets=attr.weight&attr.weight=heavy": ("?attr.weight", "'heavy' is not a number.", ""),
    "facets=rating&rating_min=many": (
        "?rating_min",
        "'many' is not a number; write digits and a dot, as in 4.5.",
        "",
    ),
    "facet=brand": ("?facet", "facet is not a parameter of this address.", "Did you mean facet_size or facets?"),
}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("path", [URL, LIST])
def test_slips_are_refused_by_name(path: str, client: APIClient) -> None:
    for query, (pointer, detail, hint) in REFUSED.items():
        problem = client.get(f"{path}?{query}").json()
        fault = problem["errors"][0]
        assert (fault["pointer"], fault["detail"]) == (pointer, detail), query
        assert (problem["hint"] or "").startswith(hint), query


def test_twenty_facets_are_the_most(client: APIClient) -> None:
    Attribute.objects.bulk_create(Attribute(name=f"a{number:02}") for number in range(30))
    names = ",".join(f"attr.a{number:02}" for number in range(21))
    assert client.get(URL, {"facets": names}).json()["detail"] == (
        "facets: It names 21 facets; at most 20 are allowed."
    )
    assert len(client.get(URL).json()["facets"]) == 20


def test_a_shop_without_products_has_facets_without_values(client: APIClient) -> None:
    assert client.get(URL, {"facets": "brand,price"}).json()["facets"] == {
        "brand": {"values": [], "more": 0},
        "price": {"min": None, "max": None, "ranges": [], "more": 0},
    }


def test_any_name_of_an_attribute_is_counted(client: APIClient) -> None:
    names = ["it's", "50%", "{x}", "a.min", "größe"]
    Attribute.objects.bulk_create(Attribute(name=name) for name in names)
    make_product(attributes=dict.fromkeys(names, "100% {y} 'z'"))
    facets = client.get(URL, {"facets": ",".join(f"attr.{name}" for name in names)}).json()["facets"]
    assert [list_counts(facets[f"attr.{name}"]) for name in names] == [{"100% {y} 'z'": 1}] * len(names)


# -- the cache -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("address", [f"{URL}?facets=brand,attr.color", f"{LIST}?facets=brand&fields=id"])
def test_kept_facets_follow_every_write(address: str, ask: Ask) -> None:
    def read() -> dict[str, int]:
        warm(ask, address)
        state, body = ask(address)[1]["X-Cache"], ask(address)[2]
        assert state == "hit"
        return list_counts(json.loads(body)["facets"]["brand"])

    assert read() == {"acme": 2, "zeta": 1}
    Product.objects.filter(brand__slug="acme").update(brand=Brand.objects.get(slug="zeta"))
    assert read() == {"zeta": 3}
    Brand.objects.filter(slug="zeta").update(slug="zoe")
    assert read() == {"zoe": 3}


@pytest.mark.usefixtures("shop")
def test_facets_have_an_etag_and_take_one_statement(client: APIClient, staff: APIClient) -> None:
    first = client.get(URL)
    assert (client.get(URL, HTTP_IF_NONE_MATCH=first["ETag"]).status_code, first["Cache-Control"]) == (
        304, "public, no-cache",
    )  # fmt: skip
    statements = staff.get(URL, {"facets": "brand,price", "price_max": "9", "explain": "1"}).json()["statements"]
    assert [each["sql"].startswith("WITH RECURSIVE span") for each in statements] == [True]


def test_a_page_for_people_shows_them(client: APIClient) -> None:
    make_product(brand=make_brand("Acme"))
    for path in (URL, f"{LIST}?facets=brand"):
        answer = client.get(path, HTTP_ACCEPT="text/html")
        assert answer.status_code == 200
        assert "count_relation" in answer.content.decode()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Statements with one of these limits take too long."""
    run = Statement.run

    def stop(self: Statement, *args: Any) -> Any:
        if self.time_limit in request.param:
            raise FacetsTooDear
        return run(self, *args)

    monkeypatch.setattr(Statement, "run", stop)


LIMITS = [READING.limit, DRAWING.limit]


@pytest.mark.usefixtures("shop", "slow")
@pytest.mark.parametrize("slow", [LIMITS[:1], LIMITS], indirect=True)
@pytest.mark.parametrize(("draws", "few", "relation"), [(10_000, 0, "eq"), (3, 0, "gte"), (3, 1_000, "approx")])
def test_what_takes_too_long_to_read_is_drawn(
    draws: int, few: int, relation: str, client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.facets.counts.DRAWS", draws)
    monkeypatch.setattr("catalog.facets.counts.FEW", few)
    values = client.get(f"{URL}?facets=in_stock&price_min=1").json()["facets"]["in_stock"]["values"]
    assert {value["count_relation"] for value in values} <= {relation}
    assert all(value["count"] <= {"true": 3, "false": 1}[value["value"]] for value in values if relation != "approx")


@pytest.mark.usefixtures("shop", "slow")
@pytest.mark.parametrize("slow", [LIMITS], indirect=True)
def test_facets_are_drawn_from_so_few_rows_that_they_are_never_refused(client: APIClient) -> None:
    for address in (f"{URL}?on_sale=false", f"{LIST}?facets=price&brand=acme"):
        assert client.get(address).status_code == 200


@pytest.mark.usefixtures("shop", "slow")
@pytest.mark.parametrize("slow", [[*LIMITS, SEARCH_LIMIT]], indirect=True)
def test_facets_of_a_search_that_takes_too_long_are_refused(client: APIClient) -> None:
    problem = client.get(f"{URL}?search=tea").json()
    assert (problem["status"], problem["code"]) == (400, "facets_too_dear")
    assert problem["errors"][0]["pointer"] == "?facets"
    assert client.get(f"{URL}?brand=acme").status_code == 200


def test_drawing_and_reading_share_the_time_of_an_answer() -> None:
    assert sum(limit.milliseconds for limit in LIMITS if limit) == DEAR_MS
