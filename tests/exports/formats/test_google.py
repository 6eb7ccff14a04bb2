"""Feeds for Google Merchant Center, as a stream, a job and a file; and what our own import makes of them."""

import csv
import io
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from rest_framework.test import APIClient

from catalog.models import Location, Product, Stock, Variant
from config.api.rendering.renderers import write_json
from exports.formats.google import GoogleRss, GoogleTsv
from tests.catalog.imports.test_files import import_file
from tests.examples import share
from tests.exports.conftest import ask_for, download, post, read_body
from tests.exports.formats.any_product import PRODUCTS
from tests.exports.formats.test_packers import UNPACK
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

RSS, TSV = "/api/v1/exports/products.google", "/api/v1/exports/products.google_tsv"
ODD = Path(__file__).with_name("odd_products")
G = "{http://base.google.com/ns/1.0}"
URL = {"type": "string", "maxLength": 2000, "pattern": r"^https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+$"}
MONEY = {"type": "string", "pattern": r"^[0-9]+\.[0-9]{2} [A-Z]{3}$"}


def text(most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most, "pattern": r"\S"}


# As https://support.google.com/merchants/answer/7052112 has it.
ITEM = Draft202012Validator(
    {
        "type": "object",
        "properties": {
            "id": text(50),
            "item_group_id": text(50),
            "title": text(150),
            "description": text(5000),
            "link": URL,
            "image_link": URL,
            "additional_image_link": {"type": "array", "items": URL, "minItems": 1, "maxItems": 10},
            "availability": {"enum": ["in_stock", "out_of_stock", "preorder", "backorder"]},
            "price": MONEY,
            "sale_price": MONEY,
            "brand": text(70),
            "gtin": {"type": "string", "pattern": r"^(\d{8}|\d{12,14})$"},
            "identifier_exists": {"enum": ["yes", "no"]},
            "product_type": text(750),
            "color": text(100),
            "size": text(100),
            "material": text(200),
            "pattern": text(100),
        },
        "required": ["id", "title", "description", "link", "availability", "price"],
        "oneOf": [{"required": ["gtin"]}, {"required": ["identifier_exists"]}],
        "additionalProperties": False,
    }
)


@pytest.fixture(autouse=True)
def template(settings: Any) -> None:
    settings.PRODUCT_URL_TEMPLATE = "https://shop.example/p/{slug}?id={id}&sku={sku}"
    settings.PUBLIC_URL = "https://api.example"


@pytest.fixture
def shirt() -> Product:
    """Two variants, the first on sale and with free pieces."""
    shirt = make_product(
        sku="S/1", slug="hemd-ü", title='Shirt <b> & "Co"', brand=make_brand("Weavers"), images=3,
        category=make_category("Clothes", "Shirts"), compare_at_price="25.00", variants=2, description="Soft\tlinen\n",
        price="19.90",
    )  # fmt: skip
    small, large = shirt.variants.order_by("pk")
    options = {"Colour": "Red", "Size": "S", "Fit": "Slim"}
    Variant.objects.filter(pk=small.pk).update(options=options, barcode="4006381333931")
    # A wrong last digit is no GTIN.
    other = {"options": options | {"Size": "L"}, "price": "21.00", "barcode": "4006381333932"}
    Variant.objects.filter(pk=large.pk).update(**other)
    Stock.objects.filter(variant=large).update(reserved=1)
    shirt.images.filter(position=2).update(url="/media/a,b.jpg")
    return shirt


def fetch(staff: APIClient, url: str, **query: Any) -> bytes:
    return read_body(staff.get(url, query, HTTP_ACCEPT_ENCODING="identity"))


def read_rss(content: bytes) -> list[list[tuple[str, str]]]:
    channel = ET.fromstring(content)[0]
    assert [channel.findtext(name) for name in ("title", "link")] == ["Products", "https://shop.example/"]
    return [[(part.tag.removeprefix(G), part.text or "") for part in item] for item in channel.iter("item")]


def read_tsv(content: bytes) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(content.decode(), newline=""), delimiter="\t")
    return [{name: value for name, value in row.items() if value} for row in rows]


def test_a_variant_is_an_item_with_what_google_asks_for(shirt: Product, staff: APIClient) -> None:
    first, second = read_rss(fetch(staff, RSS))
    pictures = list(shirt.images.order_by("position").values_list("url", flat=True))
    link = f"https://shop.example/p/hemd-%C3%BC?id={shirt.pk}&sku="
    assert first == [
        ("id", "S/1"),
        ("title", 'Shirt <b> & "Co", Slim'),
        ("link", f"{link}S%2F1"),
        ("availability", "in_stock"),
        ("price", "25.00 USD"),
        ("sale_price", "19.90 USD"),
        ("gtin", "4006381333931"),
        ("color", "Red"),
        ("size", "S"),
        ("item_group_id", "S/1"),
        ("description", "Soft\tlinen"),
        ("image_link", pictures[0]),
        ("additional_image_link", "https://api.example/media/a,b.jpg"),
        ("additional_image_link", pictures[2]),
        ("brand", "Weavers"),
        ("product_type", "Clothes > Shirts"),
    ]
    assert dict(second) | {"id": "S/1-2", "link": f"{link}S%2F1-2", "availability": "out_of_stock"} == dict(second)
    # The price before is that of the cheapest variant, and another code than a GTIN is none.
    assert ("price", "21.00 USD") in second
    assert {"sale_price", "gtin"} & dict(second).keys() == set()
    assert ("identifier_exists", "no") in second


def test_the_table_says_the_same(shirt: Product, staff: APIClient) -> None:
    tables, feeds = read_tsv(fetch(staff, TSV)), [dict(item) for item in read_rss(fetch(staff, RSS))]
    for row, item in zip(tables, feeds, strict=True):
        pictures = row.pop("additional_image_link").split(",")
        assert pictures[0] == "https://api.example/media/a%2Cb.jpg"
        item.pop("additional_image_link")
        assert row == item | {"description": "Soft linen"}


@hypothesis_settings(max_examples=share(60), deadline=None)
@given(PRODUCTS)
def test_each_line_of_any_product_is_valid(product: Any) -> None:
    feed = GoogleRss.begin_file([]) + GoogleRss.write_rows(write_json(product)) + GoogleRss.end_file()
    items = [gather(item) for item in read_rss(feed)]
    table = GoogleTsv.write_rows(write_json(product))
    assert len(items) == table.count(b"\n") == len(product["variants"])
    rows = read_tsv(GoogleTsv.begin_file([]) + table)
    for item, row in zip(items, rows, strict=True):
        ITEM.validate(item)
        pictures = {name: urls.split(",") for name, urls in row.items() if name == "additional_image_link"}
        ITEM.validate(row | pictures)
        assert row.keys() == item.keys()


@hypothesis_settings(max_examples=share(60), deadline=None)
@given(st.lists(PRODUCTS, min_size=2, max_size=4))
def test_items_that_are_made_together_are_as_each_alone(products: list[Any]) -> None:
    lines = [write_json(product) + b"\n" for product in products]
    for format_ in (GoogleRss, GoogleTsv):
        assert format_.write_rows(b"".join(lines)) == b"".join(map(format_.write_rows, lines))


def test_odd_products_are_written_as_they_always_were() -> None:
    """Long, empty, quoted, escaped and forbidden texts, sales, codes, options and addresses of any kind."""
    lines = ODD.with_suffix(".ndjson").read_bytes()
    assert GoogleRss.write_rows(lines) == ODD.with_suffix(".xml").read_bytes()
    assert GoogleTsv.write_rows(lines) == ODD.with_suffix(".tsv").read_bytes()


@pytest.mark.parametrize("written", ["\\u0001", "\\b", "\\f", "\\uffff", "\\uFFFE", "\ufffe"])
def test_a_letter_that_xml_has_not_is_found_however_json_has_it(written: str) -> None:
    line = ODD.with_suffix(".ndjson").read_bytes().splitlines()[0].replace(b"Plain.", f"a{written}b".encode())
    assert b">a b</" in GoogleRss.write_rows(line)


def gather(item: list[tuple[str, str]]) -> dict[str, Any]:
    """An item's texts by name; no name comes twice but the one that may."""
    pictures = [value for name, value in item if name == "additional_image_link"]
    rest = {name: value for name, value in item if name != "additional_image_link"}
    assert len(rest) + len(pictures) == len(item)
    return rest | ({"additional_image_link": pictures} if pictures else {})


def test_a_product_of_one_variant_is_no_group(staff: APIClient) -> None:
    make_product(sku="A" * 60, title="T" * 200, images=0, stock=0)
    (item,) = map(dict, read_rss(fetch(staff, RSS)))
    assert "item_group_id" not in item
    assert "image_link" not in item
    assert (len(item["id"]), len(item["title"]), item["description"]) == (50, 150, "T" * 200)


def test_pieces_where_orders_take_none_are_not_in_stock(staff: APIClient) -> None:
    Location.objects.create(code="repair", sellable=False)
    stock = make_product(stock=3).variants.get().stock
    for place, free in (("main", "in_stock"), ("repair", "out_of_stock")):
        stock.update(location=place)
        for url in (RSS, TSV):
            assert free.encode() in fetch(staff, url)


def test_only_active_products_are_shown_unless_the_status_is_named(staff: APIClient) -> None:
    make_product(sku="on")
    make_product(sku="off", status="draft")
    for query, skus in (({}, ["on"]), ({"status": "draft"}, ["off"]), ({"status": "active,draft"}, ["on", "off"])):
        assert [row["id"] for row in read_tsv(fetch(staff, TSV, **query))] == skus
    assert [row["id"] for row in read_tsv(fetch(staff, TSV, sku="on,off"))] == ["on"]


def test_letters_that_xml_has_not_become_blanks(staff: APIClient) -> None:
    text = make_product().text
    # One at a time: another one would have all texts looked at.
    for sign in "\x01\x08\x0b\x0c\x1f\ufffe\uffff":
        text.description = f"a{sign}b]]>"
        text.save()
        (item,) = map(dict, read_rss(fetch(staff, RSS)))
        assert item["description"] == "a b]]>"


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize(("name", "suffix"), [("google", "xml"), ("google_tsv", "tsv")])
def test_a_job_and_the_command_write_what_is_streamed(
    name: str, suffix: str, compression: str, staff: APIClient, tmp_path: Path
) -> None:
    for _ in range(7):
        make_product(variants=2)
    streamed = fetch(staff, f"/api/v1/exports/products.{name}")
    job = ask_for(staff, format=name, compression=compression)
    assert UNPACK[compression](download(staff, job)) == streamed
    assert f".{suffix}" in staff.get(f"/api/v1/exports/{job.pk}/manifest/").json()["file"]
    file = tmp_path / f"feed.{suffix}"
    call_command("export", "products", format="google", output=str(file), json=True)
    assert file.read_bytes() == streamed


def test_an_empty_feed_is_a_feed(staff: APIClient) -> None:
    assert read_rss(fetch(staff, RSS)) == []
    assert download(staff, ask_for(staff, format="google")) == fetch(staff, RSS)


def test_without_the_template_the_setting_is_named(staff: APIClient, settings: Any) -> None:
    settings.PRODUCT_URL_TEMPLATE = ""
    for answer in (staff.get(RSS), staff.get(TSV), post(staff, format="google")):
        assert (answer.status_code, answer.json()["code"]) == (422, "setting_missing")
        assert "PRODUCT_URL_TEMPLATE isn't set on this server" in answer.json()["detail"]
        assert answer.json()["hint"] == "Set it, as in PRODUCT_URL_TEMPLATE=https://shop.example.com/p/{slug}."


def test_what_a_feed_has_cannot_be_chosen(staff: APIClient) -> None:
    assert staff.get(RSS, {"fields": "id"}).json()["code"] == "unknown_parameter"
    assert post(staff, format="google", fields="id").json()["errors"][0]["pointer"] == "/fields"
    assert post(staff, resource="stock", format="google").json()["errors"][0]["pointer"] == "/format"
    assert staff.get("/api/v1/exports/stock.google").status_code == 404


@pytest.mark.parametrize(("url", "suffix"), [(RSS, "xml"), (TSV, "tsv")])
def test_our_own_import_reads_a_feed(url: str, suffix: str, shirt: Product, staff: APIClient, tmp_path: Path) -> None:
    file = tmp_path / f"feed.{suffix}"
    file.write_bytes(fetch(staff, url))
    Product.objects.all().delete()
    report = import_file(file)
    assert (report["format"], report["errors"]) == ("google", [])
    product = Product.objects.get()
    assert (product.sku, product.price, product.compare_at_price) == ("S/1", shirt.price, shirt.compare_at_price)
    found = Variant.objects.order_by("sku").values_list("sku", "price", "barcode", "options")
    assert list(found) == [
        ("S/1", shirt.price, "4006381333931", {"color": "Red", "size": "S"}),
        ("S/1-2", 21, "", {"color": "Red", "size": "L"}),
    ]
