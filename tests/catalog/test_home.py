"""The start page: figures that cost the same at any size, and a page without scripts."""

import re
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog import home
from catalog.models import Category, Product
from config.api.freshness.leases import FRESHNESS
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    return Client()


def read_page(browser: Client) -> str:
    answer = browser.get("/")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def make_rows(size: int, **fields: Any) -> None:
    first = Product.objects.count()
    Product.objects.bulk_create(
        Product(sku=f"H{number}", slug=f"h{number}", title="T", **fields) for number in range(first, first + size)
    )


def test_an_empty_catalogue_says_what_to_do(browser: Client) -> None:
    page = read_page(browser)
    assert "manage.py seed" in page
    assert "manage.py import_products" in page
    assert "Products by category" not in page


def test_it_names_its_release(browser: Client) -> None:
    assert f"<footer>Tenfold {settings.VERSION}." in read_page(browser)


def test_it_shows_figures_and_shares_by_top_level_category(browser: Client) -> None:
    for names in (("Food", "Tea"), ("Food", "Tea"), ("Food",), ("Garden",)):
        make_product(category=make_category(*names), brand=make_brand("Acme"), variants=2)
    make_product(status="draft", category=make_category("Secret"))
    make_product()
    page = read_page(browser)
    assert "<dt>Products</dt><dd>6</dd>" in page
    assert "<dt>Variants</dt><dd>10</dd>" in page
    assert "<dt>Brands</dt><dd>1</dd>" in page
    shares = re.findall(r'class="name"[^>]*>([^<]+)<.*?width="([\d.]+)".*?(\d+) %', page)
    assert shares == [("Food", "100.0", "60"), ("Garden", "33.3", "20"), ("Everything else", "33.3", "20")]
    assert "Shares among 5 active products." in page
    assert "?category=food" in page


def test_its_links_and_commands_lead_somewhere(browser: Client) -> None:
    make_product(category=make_category("Food"))
    page = browser.get("/").content.decode()
    for address in re.findall(r'href="(/[^"]*)"', page):
        if address.startswith("/static/"):
            assert finders.find(address.removeprefix("/static/")), address
        else:
            assert browser.get(address).status_code in (200, 302, 503), address
    commands = re.findall(r"curl &#x27;http://testserver(/[^&]*(?:&amp;[^&]*)*)&#x27;", page)
    assert len(commands) == 2
    for command in commands:
        assert browser.get(command.replace("&amp;", "&")).status_code == 200, command


def test_a_page_has_no_script_and_the_strict_policy(browser: Client) -> None:
    answer = browser.get("/")
    page = answer.content.decode()
    assert "<script" not in page
    assert " style=" not in page
    assert " on" not in re.sub(r">[^<]*<", "><", page).replace('content="', "").split("<body>")[1]
    assert "'unsafe-eval'" not in answer["Content-Security-Policy"]
    assert browser.post("/").status_code == 405


@pytest.mark.parametrize("size", [1, 60])
def test_it_costs_the_same_at_any_size(size: int, browser: Client, settings: Any) -> None:
    settings.CACHE = "off"
    for number in range(size):
        make_product(category=make_category(f"C{number}"))
    # 1.-4. the counts  5. the ends of the key  6. the shares  7. the names  8. the pictures
    with CaptureQueriesContext(connection) as queries:
        browser.get("/")
    assert len(queries) == 8, [query["sql"] for query in queries]
    assert all("LIMIT" in query["sql"] for query in queries if "COUNT(*)" in query["sql"])


def test_a_big_table_is_sampled_all_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "SAMPLE", 40)
    early, late = make_category("Early"), make_category("Late")
    make_rows(400, category=early)
    make_rows(400, category=late)
    shares = home.count_by_root()
    assert sum(shares.values()) == 40
    assert abs(shares[early.pk] - shares[late.pk]) <= 2


def test_the_size_of_the_sample_is_written_as_the_figures_are() -> None:
    assert home.describe_sample(4617) == "4,617 active products, taken from the whole table"


def test_past_its_bound_a_count_is_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "BOUND", 20)
    make_rows(1234)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE catalog_product")
    assert re.fullmatch(r"about 1,2[0-9]0", home.describe_size(Product))
    assert home.describe_size(Category) == "0"


def test_figures_follow_a_write(browser: Client, django_capture_on_commit_callbacks: Any, staff: Any) -> None:
    make_product()
    assert "<dt>Products</dt><dd>1</dd>" in read_page(browser)
    with django_capture_on_commit_callbacks(execute=True):
        staff.post("/api/v1/products/", {"sku": "N-1", "title": "New", "price": "1.00"})
    assert "<dt>Products</dt><dd>2</dd>" in read_page(browser)


def test_it_is_kept_while_its_tables_stay(
    browser: Client, django_capture_on_commit_callbacks: Any, staff: Any, settings: Any
) -> None:
    settings.RATE_LIMIT_ANON = "1/day"
    read_page(browser)
    with django_capture_on_commit_callbacks(execute=True):
        assert staff.post("/api/v1/attributes/", {"name": "volts", "type": "number"}).status_code == 201
    with CaptureQueriesContext(connection) as queries:
        read_page(browser)
    assert len(queries) == 0, "an attribute isn't shown"
    FRESHNESS.end()
    settings.CACHE = "off"
    assert browser.get("/").status_code == 429, "made anew it counts, as a list does"


def test_it_shows_the_newest_products_that_have_a_picture(browser: Client) -> None:
    make_product(title="Without", images=0)
    lamp = make_product(title="Lamp", images=1)
    page = read_page(browser)
    assert f'<img src="{lamp.images.get().url}" alt="Lamp"' in page
    assert 'alt="Without"' not in page
