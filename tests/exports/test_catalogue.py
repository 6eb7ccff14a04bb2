"""The export of the whole catalogue, and what an empty database makes of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from catalog.models import Attribute, Brand, Category, Image, Location, Product, ProductText, Stock, Variant
from catalog.writes.texts import compose, find_unseen
from tests.catalog.imports.test_files import import_file, snapshot
from tests.examples import share
from tests.exports.conftest import ask_for, download, post, read_body
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/exports/catalogue.ndjson"
# The lines of `odd_catalogue`, without ids, versions and times. Both databases give them, and take them back.
LINES = Path(__file__).parent / "catalogue.ndjson"
OWN = ("id", "version", "created_at", "updated_at")
TABLES = (Image, Stock, Variant, ProductText, Product, Attribute, Brand)


@pytest.fixture
def odd_catalogue(db: None) -> None:
    """A catalogue that is easily brought back in another shape; its products aren't in the order of their SKUs."""
    make_brand("Unused")
    Brand.objects.create(name='Weaver & "Sons"', slug="W_S")
    # A category with the name that another one has as its slug, one that nobody uses, and a deep one.
    Category.objects.create(name="home-light", slug="root")
    deep = make_category("Home", "Light", "Wärme", "a", "b", "c", "d", "e")
    make_category("Unused", "Below")
    Attribute.objects.create(name="volts", type="number")
    Attribute.objects.create(name="farbe", type="text")
    attributes = {
        "volts": 12.5,
        "farbe": "grün",
        "z": None,
        "long": 12345678901234567,
        "deep": [{"b": [1, True], "a": {}}],
    }
    tea = make_product(
        sku="z-1", slug="tea", title='Ünïcode "漢字" 🧵', brand=Brand.objects.get(slug="W_S"), category=deep,
        variants=3, images=2, attributes=attributes, rating="4.50", compare_at_price="99.00",
        description='<p class="x">a, "b"\n\\n\u2028</p>',
    )  # fmt: skip
    first, second, third = tea.variants.order_by("pk")
    Stock.objects.filter(variant=third).delete()
    Stock.objects.filter(variant=first).update(on_hand=7, reserved=2)
    Location.objects.create(code="outlet-2", name="Zweites Lager", priority=7)
    Location.objects.create(code="outlet_1", sellable=False)
    Location.objects.create(code="outlet1", priority=2)
    Stock.objects.create(variant=first, location="outlet-2", on_hand=5)
    Stock.objects.create(variant=first, location="outlet_1", on_hand=0)
    Stock.objects.create(variant=first, location="outlet1", on_hand=1)
    # Two variants at one position, and a product whose SKU none of its variants has.
    Variant.objects.filter(pk=second.pk).update(sku="0-second", position=1, options={"Size": "S", "Colour": "Red"})
    Variant.objects.filter(pk=first.pk).update(sku="9-first", barcode="4006381333931", weight=250, price="8.00")
    Image.objects.filter(product=tea).update(position=5, alt="Front, 'left'")
    make_product(
        sku="=A", slug="draft", title="-1", status="draft", category=Category.objects.get(slug="root"), stock=0
    )
    make_product(sku="a", slug="slug-of-nothing", title="x", status="archived", images=0, currency="CHF")
    for number, url in enumerate(Image.objects.order_by("pk").values_list("pk", flat=True)):
        Image.objects.filter(pk=url).update(url=f"https://i.example/{number}.jpg")


def export(staff: APIClient) -> list[dict[str, Any]]:
    """The lines, but for the last one, which proves the file complete."""
    *lines, end = map(json.loads, read_body(staff.get(URL, HTTP_ACCEPT_ENCODING="identity")).splitlines())
    assert end["rows"] == len(lines)
    return lines


def strip(lines: list[dict[str, Any]]) -> list[str]:
    """The texts of the lines, without what each database makes anew."""
    kept = ({name: value for name, value in line.items() if name not in OWN} for line in lines)
    return [json.dumps(line, ensure_ascii=False) for line in kept]


def bring_back(lines: list[str], file: Path) -> dict[str, Any]:
    file.write_text("".join(f"{line}\n" for line in lines))
    report = import_file(file, format="tenfold")
    assert report["errors"] == []
    return report


def empty() -> None:
    for table in TABLES:
        table.objects.all().delete()
    while Category.objects.exists():
        Category.objects.filter(children=None).delete()


def test_the_lines_are_the_same_on_both_databases(odd_catalogue: None, staff: APIClient) -> None:
    assert strip(export(staff)) == LINES.read_text().removesuffix("\n").split("\n")


def test_an_empty_database_takes_the_catalogue_back(staff: APIClient, tmp_path: Path) -> None:
    lines = LINES.read_text().removesuffix("\n").split("\n")
    report = bring_back(lines, tmp_path / "catalogue.ndjson")
    assert report["format"] == "tenfold"
    assert report["products"] == {"created": 3, "updated": 0, "unchanged": 0, "refused": 0}
    assert report["unread_columns"] == report["guessed"] == []
    assert [report[name]["created"] for name in ("brands", "categories", "locations")] == [2, 11, 3]
    assert strip(export(staff)) == lines
    tea = Product.objects.get(sku="z-1")
    assert (tea.price, tea.in_stock, tea.image_url) == (8, True, "https://i.example/0.jpg")


@pytest.mark.usefixtures("odd_catalogue")
def test_a_catalogue_taken_back_where_it_comes_from_changes_nothing(staff: APIClient, tmp_path: Path) -> None:
    before = snapshot()
    report = bring_back([json.dumps(line) for line in export(staff)], tmp_path / "catalogue.ndjson")
    assert report["products"] == {"created": 0, "updated": 0, "unchanged": 3, "refused": 0}
    assert snapshot() == before


COLUMNS = (
    "sku", "slug", "title", "brand", "category", "status", "price", "compare_at_price", "rating", "image_url",
    "attributes", "description", "seo_title", "seo_description", "brand_slug", "category_slug",
)  # fmt: skip


def list_products() -> list[Any]:
    links = ("brand__name", "brand__slug", "category__breadcrumb", "category__slug")
    texts = ("text__description", "text__seo_title", "text__seo_description")
    own = ("sku", "slug", "title", "status", "price", "compare_at_price", "rating", "image_url", "attributes")
    return list(Product.objects.order_by("sku").values(*own, *links, *texts))


@pytest.mark.usefixtures("odd_catalogue")
@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_an_empty_database_takes_a_table_of_products_back(kind: str, staff: APIClient, tmp_path: Path) -> None:
    # No spreadsheet holds more digits.
    Product.objects.filter(sku="z-1").update(attributes={"volts": 12.5, "farbe": "grün", "deep": {"b": [1, True]}})
    make_product(sku="twin", brand=Brand.objects.create(name='Weaver & "Sons"', slug="twin"), rating="1.25")
    signs = Category.objects.create(name="A > B", slug="signs", parent=Category.objects.get(slug="home"))
    below = Category.objects.create(name="C\\", slug="below", parent=signs)
    leaf = Category.objects.create(name="D/E", slug="Leaf", parent=below)
    make_product(sku="sign", brand=make_brand("Unused"), category=leaf)
    before = list_products()
    file = tmp_path / f"products.{kind}"
    file.write_bytes(download(staff, ask_for(staff, format=kind, fields=",".join(COLUMNS), compression="none")))
    assert import_file(file)["products"]["unchanged"] == 5
    empty()
    report = import_file(file)
    assert (report["errors"], report["unread_columns"], report["products"]["created"]) == ([], [], 5)
    assert list_products() == before


@pytest.mark.usefixtures("odd_catalogue", "small_parts")
def test_a_job_writes_the_lines_of_the_stream(staff: APIClient) -> None:
    job = ask_for(staff, resource="catalogue", format="ndjson", compression="none")
    lines = export(staff)
    assert [json.loads(line) for line in download(staff, job).splitlines()] == lines
    assert job.rows_done == job.rows_total == len(lines)


def test_an_empty_catalogue_is_a_file_too(staff: APIClient) -> None:
    main = {"_type": "location", "code": "main", "name": "Main", "sellable": True, "priority": 1}
    assert export(staff) == [main]
    assert json.loads(download(staff, ask_for(staff, resource="catalogue", format="ndjson"))) == main


@pytest.mark.usefixtures("odd_catalogue")
def test_what_comes_after_an_id_has_no_brands_before_it(staff: APIClient) -> None:
    whole = export(staff)
    first = next(line["id"] for line in whole if line["_type"] == "product")
    answer = staff.get(URL, {"after": first}, HTTP_ACCEPT_ENCODING="identity")
    *lines, _ = map(json.loads, read_body(answer).splitlines())
    assert lines == [line for line in whole if line["_type"] == "product" and line["id"] > first]


def test_a_catalogue_has_one_format(staff: APIClient, tmp_path: Path) -> None:
    assert staff.get("/api/v1/exports/catalogue.csv").status_code == 404
    answer = post(staff, resource="catalogue", format="parquet")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/format")
    assert "catalogue has no export as parquet" in answer.json()["errors"][0]["detail"]
    with pytest.raises(CommandError, match="catalogue has no export as csv: use ndjson"):
        call_command("export", "catalogue", format="csv", output=str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"_type": "brnd", "slug": "a"}, "_type: 'brnd' is not one of brand, category, attribute, location, product"),
        ({"slug": "a"}, "_type: '' is not one of"),
        ({"_type": "brand", "slug": "a"}, "name: 'null' is not a text; give a text or a number"),
        ({"_type": "brand", "slug": "acme", "name": "Other"}, "name: The brand 'acme' has 'Acme' here; change it here"),
        ({"_type": "category", "slug": "a", "name": "A", "parent": "b"}, "There is no category with the slug 'b'"),
        ({"_type": "category", "slug": "x", "name": "Tea"}, "'Tea' belongs to another category below this parent"),
        ({"_type": "attribute", "name": "volts", "type": "text"}, "The attribute 'volts' has 'number' here"),
        ({"_type": "attribute", "name": "size", "type": "colour"}, "is not one of text, number, boolean"),
        ({"_type": "location", "code": ""}, "code: '' is blank; give a location"),
        ({"_type": "location", "code": "shop", "sellable": True}, "sellable: The location 'shop' has False here"),
        ({"_type": "location", "code": "x", "sellable": "no"}, "sellable: 'no' is neither true nor false"),
        ({"_type": "product", "sku": "A", "brand": "none"}, "brand: There is no brand with the slug 'none'"),
        ({"_type": "product", "sku": "A", "variants": []}, "variants: is an empty list"),
    ],
)
def test_a_line_that_cannot_be_taken_is_refused_by_its_number(
    line: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    make_brand("Acme")
    make_category("Tea")
    Attribute.objects.create(name="volts", type="number")
    make_product(sku="A")
    Location.objects.create(code="shop", sellable=False)
    good = {"_type": "brand", "slug": "zeta", "name": "Zeta"}
    file = tmp_path / "file.ndjson"
    file.write_text(f"{json.dumps(good)}\n{json.dumps(line)}\n")
    report = import_file(file, format="tenfold")
    assert [error["line"] for error in report["errors"]] == [2] * len(report["errors"])
    assert reason in report["errors"][0]["reason"]
    assert Brand.objects.filter(slug="zeta").exists()


def test_a_term_that_the_file_has_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file.ndjson"
    file.write_text('{"_type": "brand", "slug": "a", "name": "A"}\n{"_type": "brand", "slug": "a", "name": "B"}\n')
    (error,) = import_file(file)["errors"]
    assert (error["line"], error["reason"]) == (2, "brand: 'a' is already on line 1; keep one of the two")


def test_a_file_of_an_older_release_has_codes_alone(tmp_path: Path) -> None:
    lines = [json.dumps({"_type": "location", "code": code}) for code in ("main", "north")]
    assert bring_back(lines, tmp_path / "file.ndjson")["locations"] == {"created": 1}
    assert set(Location.objects.values_list("code", "sellable", "priority")) == {("main", True, 1), ("north", True, 2)}


# -- any catalogue -------------------------------------------------------------------------------------------------

LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Zs", "Mn", "Co", "Cn"))
# What the API stores as a title: composed, and without what can't be seen.
TITLES = st.text(LETTERS, min_size=1, max_size=20).map(compose).filter(lambda text: find_unseen(text) is None)
PRICES = st.integers(0, 999_999_999_999).map(lambda cents: f"{cents // 100}.{cents % 100:02}")
SKUS = st.lists(st.text("abAB01-=", min_size=1, max_size=6), min_size=4, max_size=4, unique=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9).map(lambda x: round(x, 3)) | TITLES,
    lambda below: st.lists(below, max_size=2) | st.dictionaries(TITLES, below, max_size=2),
    max_leaves=5,
)


@st.composite
def draw_catalogue(draw: Any) -> list[str]:
    skus = draw(SKUS)
    lines: list[dict[str, Any]] = [
        {
            "_type": "location", "code": code, "name": draw(TITLES), "sellable": draw(st.booleans()),
            "priority": draw(st.integers(0, 3)),
        }
        for code in ("main", "out-let", "outlet")
    ]  # fmt: skip
    for number, sku in enumerate(skus[:2]):
        stock = [{"location": code["code"], "on_hand": draw(st.integers(0, 9))} for code in lines[:3]]
        own = {"barcode": "", "options": draw(st.dictionaries(TITLES, TITLES, max_size=2)), "weight": 0}
        own["options"] = dict(sorted(own["options"].items()))
        variants = [
            {"sku": one, **own, "price": draw(PRICES), "position": draw(st.integers(1, 2)), "stock": stock}
            for one in (sku, skus[2 + number])
        ]
        variants.sort(key=lambda variant: variant["position"])
        attributes = dict(sorted(draw(st.dictionaries(TITLES, JSON, max_size=3)).items()))
        images = [{"url": f"/{number}.jpg", "alt": draw(TITLES), "position": draw(st.integers(0, 3))}]
        lines.append({
            "_type": "product", "sku": sku, "slug": f"slug-{number}", "title": draw(TITLES), "brand": None,
            "category": None, "status": draw(st.sampled_from(["active", "draft", "archived"])), "currency": "EUR",
            "compare_at_price": draw(st.none() | PRICES), "rating": draw(st.sampled_from(["0.00", "4.25"])),
            "attributes": attributes, "description": draw(TITLES), "seo_title": "", "seo_description": "",
            "variants": variants, "images": images,
        })  # fmt: skip
    return [json.dumps(sort_members(line), ensure_ascii=False) for line in lines]


def sort_members(line: dict[str, Any]) -> dict[str, Any]:
    if "attributes" in line:
        line["attributes"] = json.loads(json.dumps(line["attributes"], sort_keys=True))
    return line


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "any.ndjson"


@pytest.mark.slow
@settings(max_examples=share(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=draw_catalogue())
def test_any_catalogue_comes_back_line_by_line(lines: list[str], staff: APIClient, scratch: Path) -> None:
    with transaction.atomic():
        bring_back(lines, scratch)
        assert [json.loads(line) for line in strip(export(staff))] == [json.loads(line) for line in lines]
        transaction.set_rollback(True)
