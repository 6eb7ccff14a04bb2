"""A search that finds nothing is corrected: slips in its words, by the words that the catalogue has."""

import os
import random
from io import StringIO
from string import ascii_lowercase
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from catalog.models import Brand, Product
from catalog.search import vocabulary
from catalog.search.slips import SHORTEST, count_allowed, count_slips, list_asked, list_stored
from catalog.search.vocabulary import count_words, fill_words
from catalog.seeding import rows as demo
from tests.factories import make_brand, make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"
LETTERS = random.Random(7)


def search(caller: APIClient, words: str, **query: str) -> tuple[list[str], dict[str, str] | None]:
    """SKUs, and what the search was corrected to."""
    answer = caller.get(URL, {"search": words, "fields": "sku", **query})
    assert answer.status_code == 200, answer.content
    return [row["sku"] for row in answer.json()["results"]], answer.json().get("search")


@pytest.fixture
def shelf(db: None) -> None:
    make_product(sku="CHAIR", title="Oak Armchair", brand=make_brand("Tidewater"))
    make_product(sku="SHIRT", title="Cotton Shirt")
    make_product(sku="SOCKS", title="Cotton Socks")
    make_product(sku="LAMP", title="Café Lamp 40W")
    make_product(sku="KIT", title="Kit", brand=make_brand("Acme Tools"))
    make_product(sku="HIDDEN", title="Velvet Sofa", status="draft")
    count_words()


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize(
    ("asked", "used", "found"),
    [
        ("armchiar", "armchair", ["CHAIR"]),
        ("Oak Armchiar", "Oak armchair", ["CHAIR"]),
        ("amrchiar", "armchair", ["CHAIR"]),  # two slips in eight letters
        ("coton", "cotton", ["SHIRT", "SOCKS"]),
        ("coton shrit", "cotton shirt", ["SHIRT"]),
        ("cofe lamp", "cafe lamp", ["LAMP"]),
        ("lmp", "lamp", ["LAMP"]),
        ("tidewaterarmchair", "tidewater armchair", ["CHAIR"]),  # joined over the brand
        ("acmetools", "acme tools", ["KIT"]),
        ("llamp", "lamp", ["LAMP"]),
        ("tidewatre chair", "tidewater chair", ["CHAIR"]),
        ("cotton armchair", None, []),  # both are words as they should be, and no product has both
        ("oxx", None, []),  # oak has three letters
        ("ctn", None, []),  # three slips
        ("41W", None, []),  # a number may be a model
        ("vlevet", None, []),  # nobody sees a draft
        ("cotton", None, ["SHIRT", "SOCKS"]),
        ("otton", None, ["SHIRT", "SOCKS"]),  # parts come before slips
    ],
)
def test_slips_are_corrected(asked: str, used: str | None, found: list[str], client: APIClient) -> None:
    skus, corrected = search(client, asked)
    assert sorted(skus) == found
    assert corrected == (used and {"asked": asked, "used": used})


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("path", ["products/facets/?", "products/?facets=brand&", "products/?"])
def test_each_answer_tells_what_was_corrected(path: str, client: APIClient) -> None:
    answer = client.get(f"/api/v1/{path}search=armchiar").json()
    assert answer["search"] == {"asked": "armchiar", "used": "armchair"}


@pytest.mark.usefixtures("shelf")
def test_known_words_that_no_product_has_together_are_corrected(client: APIClient) -> None:
    make_product(sku="SHORT", title="Linen Short")
    count_words()
    assert search(client, "cotton short") == (["SHIRT"], {"asked": "cotton short", "used": "cotton shirt"})


@pytest.mark.usefixtures("shelf")
def test_other_filters_do_not_make_a_word_a_slip(client: APIClient) -> None:
    assert search(client, "cotton", price_max="1") == ([], None)
    assert search(client, "coton", ordering="-created_at")[0] == ["SOCKS", "SHIRT"]
    assert search(client, "coton", ordering="-created_at", page_size="1")[1] == {"asked": "coton", "used": "cotton"}


@pytest.mark.usefixtures("shelf")
def test_all_pages_are_of_the_corrected_search(client: APIClient) -> None:
    first = client.get(URL, {"search": "coton", "ordering": "created_at", "page_size": 1}).json()
    second = client.get(first["next"]).json()
    assert [first["results"][0]["sku"], second["results"][0]["sku"]] == ["SHIRT", "SOCKS"]
    assert second["search"] == first["search"]
    assert client.get(URL, {"search": "coton", "page": 2, "page_size": 1}).json()["results"][0]["sku"] == "SOCKS"


@pytest.mark.usefixtures("shelf")
def test_a_search_that_finds_something_asks_nothing_more(client: APIClient) -> None:
    with CaptureQueriesContext(connection) as queries:
        search(client, "cotton")
    assert len(queries) == 2, "the brands that the words name, and the page"


@pytest.mark.usefixtures("shelf")
def test_staff_find_a_draft_as_it_is_written(staff: APIClient) -> None:
    assert search(staff, "velvet")[0] == ["HIDDEN"]


# -- the vocabulary -------------------------------------------------------------------------------------------------


def read_words() -> dict[str, int]:
    count_words()
    with connection.cursor() as cursor:
        cursor.execute("SELECT word, products FROM catalog_word WHERE products <> 0")
        return dict(cursor.fetchall())


def test_the_vocabulary_follows_every_writer() -> None:
    before = read_words()

    def tell() -> dict[str, int]:
        now = read_words()
        moved = {word: now.get(word, 0) - before.get(word, 0) for word in now | before}
        return {word: products for word, products in moved.items() if products}

    product = make_product(title="Oak Chair oak")
    make_product(title="Chair 40")
    assert tell() == {"oak": 1, "chair": 2}
    Product.objects.filter(pk=product.pk).update(title="Oak Bench")
    assert tell() == {"oak": 1, "chair": 1, "bench": 1}
    Product.objects.filter(pk=product.pk).update(price=3)
    product.variants.update(price=4)
    assert tell() == {"oak": 1, "chair": 1, "bench": 1}
    Product.objects.filter(pk=product.pk).update(status="draft")
    assert tell() == {"chair": 1}
    Product.objects.filter(pk=product.pk).update(status="active")
    Product.objects.filter(title="Chair 40").delete()
    assert tell() == {"oak": 1, "bench": 1}
    brand = make_brand("Ölmühle")
    assert tell() == {"oak": 1, "bench": 1, "olmuhle": 1}
    Brand.objects.filter(pk=brand.pk).update(name="Acme")
    assert tell() == {"oak": 1, "bench": 1, "acme": 1}
    Brand.objects.filter(pk=brand.pk).delete()
    Product.objects.all().delete()
    assert tell() == {}


def test_a_fill_that_was_stopped_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_words()
    products = [make_product(title=f"Teapot {number}", images=0) for number in range(7)]
    with connection.cursor() as cursor:
        # As it is right after the triggers were made.
        cursor.execute("DELETE FROM catalog_word_change")
        cursor.execute("UPDATE catalog_word_fill SET last = 0, most = %s", [products[-1].pk])
    fill_batch, calls = vocabulary.fill_batch, []

    def fill_twice(*args: Any) -> bool:
        calls.append(args)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return fill_batch(*args)

    with monkeypatch.context() as patch:
        patch.setattr(vocabulary, "fill_batch", fill_twice)
        with pytest.raises(KeyboardInterrupt):
            fill_words("default", batch=2)
    Product.objects.filter(pk=products[0].pk).update(title="Kettle")  # counted already
    Product.objects.filter(pk=products[6].pk).update(title="Kettle")  # not yet
    make_product(title="Teapot", images=0)
    fill_words("default", batch=2)
    now = read_words()
    assert (now["teapot"] - before.get("teapot", 0), now["kettle"] - before.get("kettle", 0)) == (6, 2)


# -- slips ----------------------------------------------------------------------------------------------------------

WORDS = st.text("abc", min_size=SHORTEST, max_size=11)


def slip(word: str, kind: int, place: int, letter: str) -> str:
    """`word` with one slip: a letter more, less or other, or two in the wrong order."""
    place %= len(word) - 1
    rest = word[place + 1 :]
    after = (letter + word[place:], rest, letter + rest, rest[0] + word[place] + rest[1:])
    return word[:place] + after[kind]


SLIPS = st.tuples(st.integers(0, 3), st.integers(0, 20), st.sampled_from("abcd"))


@given(word=WORDS, slips=st.tuples(SLIPS, SLIPS))
def test_a_word_is_stored_where_its_slips_are_looked_for(word: str, slips: Any) -> None:
    asked = word
    for one in slips[: count_allowed(word)]:
        asked = slip(asked, *one)
    assert list_stored(word) & list_asked(asked)
    once = slip(word, *slips[0])
    assert count_slips(once, word, 2) == (once != word)


@given(first=st.text("ab", max_size=6), second=st.text("ab", max_size=6))
def test_slips_are_counted_both_ways(first: str, second: str) -> None:
    assert count_slips(first, second, 9) == count_slips(second, first, 9)
    assert (count_slips(first, second, 9) == 0) == (first == second)


@pytest.mark.parametrize(("word", "number"), [("tea", 0), ("lamp", 5), ("teapots", 8), ("armchair", 29), ("x" * 40, 3)])
def test_a_word_takes_few_rows(word: str, number: int) -> None:
    assert len(list_stored(word)) == number


def test_words_are_known_when_a_seed_ends(client: APIClient) -> None:
    call_command("seed", products=1, json=True, stdout=StringIO())  # Vega Ceramic Bud Vase
    assert search(client, "ceramci")[1] == {"asked": "ceramci", "used": "ceramic"}


# -- how well -------------------------------------------------------------------------------------------------------

# `make test-faults` mistypes 1,000.
NUMBER = int(os.environ.get("TITLES", "100"))
TITLES = sorted({demo.make_product(number).columns["title"] for number in range(1, 2 * NUMBER)})[:NUMBER]


@pytest.mark.slow
def test_titles_with_a_slip_are_found(client: APIClient) -> None:
    skus = {title: make_product(title=title, images=0).sku for title in TITLES}
    count_words()
    missed = [title for title in TITLES if skus[title] not in search(client, mistype(title))[0][:3]]
    assert len(missed) <= len(TITLES) // 20, missed


def mistype(title: str) -> str:
    words = title.split()
    place = LETTERS.choice([place for place, word in enumerate(words) if len(word) >= SHORTEST])
    words[place] = slip(words[place], LETTERS.randrange(4), LETTERS.randrange(20), LETTERS.choice(ascii_lowercase))
    return " ".join(words)
