"""Each row that has an address of its own tells it in `url`, which leads to the same row."""

import csv
from io import StringIO
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import get_resolver
from rest_framework.test import APIClient

from accounts.events import Event
from accounts.models import Address, AuthToken, Order, User
from catalog.models import Brand, Category, ImportJob, Product, Variant
from config.api.reads.selections import find_fields
from config.api.schema.checks import list_views, walk_patterns
from config.api.viewsets import ShapedViewSet
from exports.models import ExportJob
from tests.exports.conftest import read_body
from tests.factories import make_category, make_product

# A slug with each kind of sign: of addresses, of SQL, of CSV, of JSON, and letters of two to four bytes.
HOSTILE = "a-Z.0_~ %2F?#&=;,+'\"\\%s:@!$*()[]{}|<>é漢🧵"
# Routes of slugs take no slash.
SKU = f"/../{HOSTILE}/"

LISTS = (
    *("products", "products/{}/variants", "brands", "categories", "orders", "me/orders", "me/addresses", "users"),
    *("locations", "auth/tokens", "auth/sessions", "auth/events", "exports", "imports"),
)


@pytest.fixture
def reader(db: None) -> Client:
    """A superuser in a browser. There is a row in each list."""
    root = User.objects.create_superuser("root@example.com", "root")
    brand, category = Brand.objects.create(name="B", slug=HOSTILE), make_category("Food", "Tea")
    Category.objects.filter(pk=category.pk).update(slug=f"c{HOSTILE}")
    product = make_product(brand=brand, category=category, variants=2)
    Variant.objects.filter(pk=product.variants.earliest("pk").pk).update(sku=SKU)
    Order.objects.create(number="T-1", user=root)
    Address.objects.create(user=root, name="Root")
    AuthToken.objects.create(root)
    Event.objects.create(kind="sign_in", user=root)
    ExportJob.objects.create(owner=root)
    ImportJob.objects.create(owner=root)
    client = Client()
    client.force_login(root)
    return client


@pytest.mark.parametrize("path", LISTS)
def test_a_rows_address_leads_to_the_row(path: str, reader: Client) -> None:
    rows = reader.get(f"/api/v1/{path.format(Product.objects.get().pk)}/").json()["results"]
    assert rows
    for row in rows:
        assert list(row)[-1] == "url"
        assert row["url"].startswith("http://testserver/api/v1/")
        assert reader.get(row["url"]).json().items() >= row.items()


def test_each_row_with_an_address_has_a_url() -> None:
    details = [found.callback for found in walk_patterns(get_resolver()) if str(found.name).endswith("-detail")]
    views: set[Any] = {getattr(found, "cls", None) for found in details} - {None}
    shapes = {getattr(view, "read_serializer", view.serializer_class) for view in views}
    assert len(shapes) == 19
    assert [shape.__name__ for shape in shapes if "url" not in find_fields(shape)] == []


def test_a_key_is_quoted_alike_in_sql_and_in_python(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"http://testserver/api/v1/brands/{quote(HOSTILE, safe='')}/"
    assert reader.get("/api/v1/brands/?fields=url").json()["results"] == [{"url": address}]
    urls = [f"/api/v1/variants/{quote(SKU, safe='')}/", "/api/v1/brands/", "/api/v1/categories/", "/api/v1/orders/"]
    before = [reader.get(url).content for url in urls]
    for view in list_views(ShapedViewSet):
        monkeypatch.setattr(view, "compiled", False)
    assert [reader.get(url).content for url in urls] == before


def test_a_row_without_its_address_is_asked_for_by_omit(reader: Client) -> None:
    [row] = reader.get("/api/v1/products/?omit=url").json()["results"]
    assert "url" not in row
    [row] = reader.get("/api/v1/products/?fields=url").json()["results"]
    assert list(row) == ["url"]


def test_a_browser_is_shown_a_link(reader: Client) -> None:
    [row] = reader.get("/api/v1/products/").json()["results"]
    page = reader.get("/api/v1/products/", headers={"Accept": "text/html"}).content.decode()
    assert f'<a href="{row["url"]}" rel="nofollow">' in page


YOUNGER = ("brand_slug", "category_slug", "product_sku")


@pytest.mark.parametrize("table", ["products", "variants", "orders"])
def test_exports_have_it_as_the_last_column(table: str, reader: Client) -> None:
    lines = read_body(reader.get(f"/api/v1/exports/{table}.csv", headers={"Accept-Encoding": "identity"})).decode()
    header, first, *_ = csv.reader(StringIO(lines))
    # Behind it are only columns that are younger, so that all keep their places.
    assert [name for name in header if name not in YOUNGER][-1] == "url"
    assert reader.get(first[header.index("url")]).status_code == 200


def test_no_body_sets_it(staff: APIClient) -> None:
    answer = staff.post("/api/v1/products/", {"sku": "A", "title": "T", "price": "1", "url": "https://x.example/"})
    assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [("/url", "unknown_member")]


def test_a_row_within_another_has_none(reader: Client) -> None:
    [user] = reader.get("/api/v1/users/").json()["results"]
    [product] = reader.get("/api/v1/products/?expand=brand,category,variants").json()["results"]
    for row in (user["addresses"][0], product["brand"], product["category"], product["variants"][0]):
        assert "url" not in row
