"""What our own exports give is imported again, and changes nothing."""

import json
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from catalog.imports.tasks import advance_import
from catalog.models import Brand, ImportJob, Product, ProductText, Stock, Variant
from catalog.writes.texts import compose, find_unseen
from tests.catalog.imports.test_files import snapshot
from tests.examples import share
from tests.exports.conftest import ask_for, download, read_body
from tests.factories import make_category, make_product

pytestmark = pytest.mark.django_db

TYPES = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "parquet": "application/octet-stream",
    "xlsx": "application/octet-stream",
}


def export(staff: APIClient, name: str, query: str = "") -> bytes:
    return read_body(staff.get(f"/api/v1/exports/products.{name}?{query}", HTTP_ACCEPT_ENCODING="identity"))


def bring_back(staff: APIClient, content: bytes, name: str) -> ImportJob:
    answer = staff.generic("POST", "/api/v1/imports/", content, TYPES[name])
    assert answer.status_code == 201, answer.json()
    advance_import.call(answer.json()["id"])
    job: ImportJob = ImportJob.objects.get(pk=answer.json()["id"])
    assert (job.status, job.error, list(job.errors.values_list("reason", flat=True))) == ("ready", "", [])
    return job


@pytest.fixture
def odd_products(db: None) -> int:
    """Products that a second look could mistake; their number."""
    # Slugs that nobody would make of the names.
    brand, category = Brand.objects.create(name='Weaver & "Sons"', slug="W_S"), make_category("Home", "Light, warm")
    type(category).objects.filter(pk=category.pk).update(slug="Light_1")
    make_product(sku="1", title="=SUM(A1)", brand=brand, category=category, images=3, stock=4)
    make_product(sku="2", title="-1;=3|'=4", attributes={"color": "grün", "tags": ["a", "b, c"], "volts": 12.5})
    make_product(sku="3", title="Ünïcode 漢字 🧵", status="draft", rating="4.50", compare_at_price="99.00")
    # The cheapest variant isn't the one that bears the product's SKU, and the first picture isn't at position 1.
    several = make_product(sku="4", variants=3, images=2)
    Variant.objects.filter(sku="4").update(price="70.00")
    several.images.update(position=5)
    # None of several variants bears it.
    renamed = make_product(sku="5", variants=2)
    Variant.objects.filter(product=renamed, sku="5").update(sku="5-first")
    ProductText.objects.filter(product=several).update(description='<p class="x">a, "b"\r\n</p>', seo_title="t")
    return Product.objects.count()


@pytest.mark.parametrize("name", ["csv", "ndjson"])
@pytest.mark.parametrize("query", ["", "fields=sku,title,price,image_url", "omit=id"])
def test_an_export_is_imported_again_and_changes_nothing(
    query: str, name: str, odd_products: int, staff: APIClient
) -> None:
    before, texts = snapshot(), list(ProductText.objects.order_by("pk").values())
    job = bring_back(staff, export(staff, name, query), name)
    assert job.report["products"] == {"created": 0, "updated": 0, "unchanged": odd_products, "refused": 0}
    assert snapshot() == before
    assert list(ProductText.objects.order_by("pk").values()) == texts


@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_what_an_export_took_away_comes_back(name: str, odd_products: int, staff: APIClient) -> None:
    content = export(staff, name)
    rows = [json.loads(line) for line in export(staff, "ndjson").splitlines()[:-1]]
    Product.objects.filter(sku__in=("1", "2", "3")).delete()
    job = bring_back(staff, content, name)
    assert job.report["products"]["created"] == 3
    again = [json.loads(line) for line in export(staff, "ndjson").splitlines()[:-1]]
    assert strip(again) == strip(rows)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("table", ["products", "variants", "stock"])
def test_the_file_of_a_job_is_imported_again_and_changes_nothing(
    table: str, name: str, odd_products: int, staff: APIClient
) -> None:
    make_product(sku="6", title="'=1", attributes={"a": "x;'=1", "b": "' \uff1d1"}, description="'-1\n '=2")
    Stock.objects.create(variant=Variant.objects.get(sku="6"), location="outlet", on_hand=7)
    before, texts = snapshot(), list(ProductText.objects.order_by("pk").values())
    content = download(staff, ask_for(staff, resource=table, format=name))
    job = bring_back(staff, content, name)
    counts = job.report["products"] | {"unchanged": 0}
    assert counts == {"created": 0, "updated": 0, "unchanged": 0, "refused": 0}
    assert snapshot() == before
    assert list(ProductText.objects.order_by("pk").values()) == texts


@pytest.mark.slow
@pytest.mark.parametrize("name", TYPES)
def test_the_stock_and_prices_of_a_file_come_back(name: str, odd_products: int, staff: APIClient) -> None:
    before = snapshot_parts()
    tables = ("variants", "stock")
    contents = [download(staff, ask_for(staff, resource=table, format=name)) for table in tables]
    Variant.objects.update(price="1.00", weight=1, options={}, barcode="x")
    Stock.objects.update(on_hand=99)
    for content in contents:
        bring_back(staff, content, name)
    assert snapshot_parts() == before


@pytest.mark.slow
@pytest.mark.parametrize("name", TYPES)
def test_new_variants_of_a_file_find_their_products(name: str, odd_products: int, staff: APIClient) -> None:
    several = Product.objects.get(sku="4")
    Stock.objects.create(variant=several.variants.latest("pk"), location="outlet", on_hand=7)
    before = list_variants()
    expand = {"expand": "stock"} if name == "ndjson" else {}
    contents = [download(staff, ask_for(staff, resource="variants", format=name, **expand))]
    contents += [download(staff, ask_for(staff, resource="stock", format=name))]
    Variant.objects.exclude(sku__in=("1", "3", "4", "5-first")).delete()
    # In another database they have other ids.
    Product.objects.filter(sku="2").delete()
    make_product(sku="2")
    Variant.objects.filter(product__sku="2").update(sku="moved")
    counts = [bring_back(staff, content, name).report["variants"]["created"] for content in contents]
    assert counts == [4, 0]
    Variant.objects.filter(sku="moved").delete()
    assert list_variants() == before


def list_variants() -> list[tuple[Any, ...]]:
    columns = ("product__sku", "sku", "price", "weight", "options", "barcode", "position")
    return list(
        Variant.objects.order_by("sku", "stock__location").values_list(*columns, "stock__location", "stock__on_hand")
    )


def snapshot_parts() -> list[list[Any]]:
    variants = Variant.objects.order_by("pk").values_list("sku", "price", "weight", "options", "barcode", "position")
    return [list(variants), list(Stock.objects.order_by("pk").values_list("variant", "location", "on_hand"))]


LETTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
FORMULAS = st.sampled_from(
    ["=1+1", "'=1", "''-1", "'\tx", "'", "'quoted'", "x;=1", "x;'=1", 'x|"=1', "x; =1", "\uff1d1"]
)
HOSTILE = st.sampled_from(['"', 'a "b", c', "a\nb", "a\r\nb", "\ufeffx", "\u2028", "🧵", "<b>", "{}", "null"])
TEXTS = (FORMULAS | HOSTILE | st.text(LETTERS, min_size=1, max_size=60)).map(str.strip).filter(bool)
# What the API stores as a title: composed, and without what can't be seen.
TITLES = TEXTS.map(compose).filter(lambda text: find_unseen(text) is None)
VALUES = TEXTS | st.booleans() | st.integers(-(10**9), 10**9) | st.lists(TEXTS, max_size=2) | st.none()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["csv", "ndjson"])
@settings(max_examples=share(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(titles=st.lists(TITLES, min_size=1, max_size=4), attributes=st.dictionaries(TEXTS, VALUES, max_size=3))
def test_hostile_text_comes_back_as_it_was(
    name: str, titles: list[str], attributes: dict[str, Any], staff: APIClient
) -> None:
    with transaction.atomic():
        for number, title in enumerate(titles):
            # An attribute without a value is none: the import takes it away.
            kept = {key: value for key, value in attributes.items() if value is not None}
            make_product(sku=f"S{number}", title=title, attributes=kept)
        before = snapshot()
        bring_back(staff, export(staff, name), name)
        assert snapshot() == before
        transaction.set_rollback(True)


def strip(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what belongs to a row's being made, and the stock, which an export of products doesn't say."""
    own = ("id", "created_at", "updated_at", "version", "in_stock", "variants_url", "images_url", "url")
    kept = [{name: value for name, value in row.items() if name not in own} for row in rows]
    return sorted(kept, key=lambda row: str(row["sku"]))
