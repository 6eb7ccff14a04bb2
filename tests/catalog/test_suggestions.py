"""`products/suggest/?q=`: what a text may become while it is typed."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from catalog.models import Brand, Product
from catalog.search import suggestions
from catalog.search.corrections import LEAST_MS
from catalog.search.queries import search_hits
from catalog.search.vocabulary import count_words
from config.api.database.time_limits import TimeLimit
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/suggest/"


@pytest.fixture(autouse=True)
def shelf(db: None) -> None:
    make_product(sku="A", slug="oak-armchair", title="Oak Armchair", brand=make_brand("Armory"))
    make_product(sku="B", slug="armchairs", title="Two Armchairs", category=make_category("Home", "Arm Rests"))
    make_product(sku="C", slug="lamp", title="Café Lamp")
    make_product(sku="D", slug="armour", title="Armour", status="draft")
    count_words()


def suggest(caller: APIClient, text: str) -> Any:
    answer = caller.get(URL, {"q": text})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_beginning_is_completed(client: APIClient) -> None:
    found = suggest(client, "arm")
    assert {row["slug"] for row in found["products"]} == {"oak-armchair", "armchairs"}
    assert set(found["products"][0]) == {"id", "slug", "title"}
    assert found["brands"] == [{"slug": "armory", "name": "Armory"}]
    assert found["categories"] == [{"slug": "home-arm-rests", "name": "Arm Rests"}]
    assert sorted(found["phrases"]) == ["armchair", "armchairs"]


def test_words_before_the_last_stay_as_they_are_written(client: APIClient) -> None:
    found = suggest(client, "OAK ar")
    assert [row["slug"] for row in found["products"]] == ["oak-armchair"]
    assert (found["phrases"], found["categories"]) == (["OAK armchair"], [])
    assert suggest(client, "caf")["phrases"] == ["café"]


def test_one_letter_of_a_further_word_chooses_among_the_best(client: APIClient) -> None:
    found = suggest(client, "two a")
    assert ([row["slug"] for row in found["products"]], found["phrases"]) == (["armchairs"], ["two armchairs"])
    assert [row["slug"] for row in suggest(client, "oak z")["products"]] == ["oak-armchair"]


def test_a_slip_is_corrected(client: APIClient) -> None:
    found = suggest(client, "oak armchiar")
    assert [row["slug"] for row in found["products"]] == ["oak-armchair"]
    assert found["phrases"] == ["oak armchair"]
    assert suggest(client, "xylophone") == {"products": [], "brands": [], "categories": [], "phrases": []}


def test_a_draft_is_suggested_to_those_who_may_see_it(client: APIClient, staff: APIClient) -> None:
    assert suggest(client, "armou")["products"] == []
    assert suggest(client, "armou")["phrases"] == []
    assert [row["slug"] for row in suggest(staff, "armou")["products"]] == ["armour"]


def test_ten_of_each_kind_are_the_most(client: APIClient) -> None:
    for number in range(12):
        make_product(
            title=f"Teapot tea{number}x", brand=make_brand(f"Tea {number}"), category=make_category(f"Tea {number}")
        )
    assert {name: len(found) for name, found in suggest(client, "tea").items()} == dict.fromkeys(
        ("products", "brands", "categories", "phrases"), 10
    )


def test_a_title_that_begins_with_the_text_is_suggested_however_many_match(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        make_product(title=f"Cushion {number} for a teapot", images=0)
    make_product(slug="whole", title="Teapot")
    make_product(slug="begun", title="Teapot \u00c9t\u00e9")
    monkeypatch.setattr(suggestions, "MOST_HITS", 3)
    found = [row["slug"] for row in suggest(client, "TEAPOT")["products"]]
    assert found[0] == "whole"
    assert "begun" in found


def test_it_costs_two_queries(client: APIClient) -> None:
    with CaptureQueriesContext(connection) as queries:
        suggest(client, "arm")
    # the brands with such a name; the products, and the categories with such a name
    assert len(queries) == 2, [query["sql"] for query in queries]


def test_of_many_words_none_is_looked_for_as_a_beginning(client: APIClient) -> None:
    """Eight that many products have cost more than a search may, and PostgreSQL didn't stop."""
    make_product(slug="set", title="Oak Armchair with Two Cushions")
    assert [row["slug"] for row in suggest(client, "oak armc tw cush")["products"]] == ["set"], "as parts"
    words = ("oak", "armc", "two", "cush")
    for number in (3, 4):
        hits = search_hits("postgresql", suggestions.complete(Product.objects.read_search(" ".join(words[:number]))))
        assert (sum("'oak':*" in str(value) for value in hits.params) > 0) == (number == 3)


def test_what_takes_too_long_is_left_out(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []

    def refuse(products: Any, search: Any, limit: TimeLimit) -> Any:
        limits.append(limit)
        raise limit.refuse()

    monkeypatch.setattr(suggestions, "read_rows", refuse)
    monkeypatch.setattr(suggestions, "DEAR_MS", 0)
    assert suggest(client, "armory") == {
        "products": [], "brands": [{"slug": "armory", "name": "Armory"}], "categories": [], "phrases": [],
    }  # fmt: skip
    assert [(limit.milliseconds, limit.retry_ms) for limit in limits] == [(LEAST_MS, 0)]


@pytest.mark.parametrize("text", ["", "½ ", " ".join("abcdefghijk")])
def test_a_text_needs_one_word_and_at_most_ten(text: str, client: APIClient) -> None:
    problem = client.get(URL, {"q": text}).json()
    assert (problem["status"], problem["errors"][0]["pointer"]) == (400, "?q")


def test_other_parameters_are_refused(client: APIClient) -> None:
    assert client.get(URL, {"q": "arm", "page": 2}).status_code == 400


def test_an_answer_has_a_tag_and_is_cached_like_a_list(client: APIClient) -> None:
    answer = client.get(URL, {"q": "arm"})
    assert client.get(URL, {"q": "arm"}, headers={"If-None-Match": answer["ETag"]}).status_code == 304
    assert answer["Cache-Control"] == "public, no-cache"
    Brand.objects.update(name="Ferro")
    assert suggest(client, "arm")["brands"] == []


@pytest.mark.parametrize("text", ["\u093e", "tea \u093e", "\u0301a", "\u0e31", "C++", "+1", "a_b", "_a"])
def test_any_text_with_a_word_is_answered(text: str, client: APIClient) -> None:
    """A vowel sign by itself is part of a word in Hindi or Thai, and no letter."""
    assert set(suggest(client, text)) == {"products", "brands", "categories", "phrases"}
