"""OpenAI's product feed: each line has what the specification requires, in its form, for any product."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from jsonschema_rs import Draft202012Validator
from rest_framework.test import APIClient

from catalog.models import Product, Stock, Variant
from config.api.rendering.renderers import write_json
from exports.formats.agentic import Agentic
from exports.formats.google import is_gtin
from tests.examples import share
from tests.exports.conftest import ask_for, download, post, read_body
from tests.exports.formats.any_product import PRODUCTS
from tests.exports.formats.test_packers import UNPACK
from tests.factories import make_brand, make_category, make_product

FEED = "/api/v1/exports/products.agentic"

TEXT = {"type": "string", "minLength": 1, "pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]+$"}
URL = {"type": "string", "pattern": r"^https?://[^\s/]+/\S*$"}
MONEY = {"type": "string", "pattern": r"^[0-9]+\.[0-9]{2} [A-Z]{3}$"}
COUNTRY = {"type": "string", "pattern": "^[A-Z]{2}$"}
# As https://developers.openai.com/commerce/specs/file-upload/products has it: the nine members that are required, those
# that its other form requires beside them, and what depends on another member.
LINE = Draft202012Validator(
    {
        "type": "object",
        "properties": {
            "item_id": {**TEXT, "maxLength": 100},
            "title": {**TEXT, "maxLength": 150},
            "description": {**TEXT, "maxLength": 5000},
            "url": URL,
            "brand": TEXT,
            "seller_name": TEXT,
            "image_url": URL,
            "availability": {"enum": ["in_stock", "out_of_stock", "pre_order", "backorder", "unknown"]},
            "price": MONEY,
            "sale_price": MONEY,
            "seller_url": URL,
            "additional_image_urls": {"type": "array", "items": URL, "minItems": 1},
            "product_category": TEXT,
            "gtin": {"type": "string", "pattern": r"^(\d{8}|\d{12,14})$"},
            **dict.fromkeys(("color", "size", "material"), TEXT),
            "group_id": TEXT,
            "listing_has_variations": {"type": "boolean"},
            "variant_dict": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}},
            "store_country": COUNTRY,
            "target_countries": {"type": "array", "items": COUNTRY, "minItems": 1},
            "return_policy": URL,
            "is_eligible_search": {"const": True},
            "is_eligible_checkout": {"const": False},
        },
        "required": [
            "item_id", "title", "description", "url", "brand", "seller_name", "image_url", "availability", "price",
            "seller_url", "store_country", "target_countries", "is_eligible_search", "is_eligible_checkout",
        ],
        "additionalProperties": False,
        "dependentRequired": {
            "group_id": ["variant_dict", "listing_has_variations"], "variant_dict": ["group_id"],
        },
    },
    validate_formats=True,
)  # fmt: skip


@pytest.fixture(autouse=True)
def seller(settings: Any) -> None:
    settings.PRODUCT_URL_TEMPLATE = "https://shop.example/p/{slug}?sku={sku}"
    settings.PUBLIC_URL = "https://api.example"
    settings.SELLER_NAME, settings.SELLER_COUNTRIES = "Weavers & Co", ["GB", "IE"]
    settings.SELLER_RETURNS_URL = "https://shop.example/returns"


@pytest.fixture
def shirt(db: None) -> Product:
    """Two variants, the first on sale and with a piece that is free."""
    shirt = make_product(
        sku="S/1", slug="hemd-ü", title='Shirt "A"', brand=make_brand("Weavers"), images=2, variants=2, price="19.90",
        category=make_category("Clothes", "Shirts"), compare_at_price="25.00",
        description="<p>Soft <b>linen</b> &amp; 3 < 4</p>\x01",
    )  # fmt: skip
    small, large = shirt.variants.order_by("pk")
    options = {"Fit": "Slim", "Colour": "Red"}  # the order of PostgreSQL, too
    Variant.objects.filter(pk=small.pk).update(options=options, barcode="4006381333931")
    Variant.objects.filter(pk=large.pk).update(options={}, price="21.00", barcode="4006381333932")
    Stock.objects.filter(variant=large).update(reserved=1)
    shirt.images.filter(position=2).update(url="/media/b.jpg")
    return shirt


def fetch(staff: APIClient, **query: Any) -> list[dict[str, Any]]:
    content = read_body(staff.get(FEED, query, HTTP_ACCEPT_ENCODING="identity"))
    return [json.loads(line) for line in content.decode().splitlines()]


def test_a_variant_is_a_line_with_what_the_specification_asks_for(shirt: Product, staff: APIClient) -> None:
    first, second = fetch(staff)
    assert first == {
        "item_id": "S/1",
        "title": 'Shirt "A", Slim, Red',
        "description": "Soft linen & 3 < 4",
        "url": "https://shop.example/p/hemd-%C3%BC?sku=S%2F1",
        "brand": "Weavers",
        "image_url": shirt.images.get(position=1).url,
        "additional_image_urls": ["https://api.example/media/b.jpg"],
        "price": "25.00 USD",
        "sale_price": "19.90 USD",
        "availability": "in_stock",
        "gtin": "4006381333931",
        "color": "Red",
        "group_id": f"product-{shirt.pk}",
        "listing_has_variations": True,
        "variant_dict": {"Colour": "Red", "Fit": "Slim"},
        "product_category": "Clothes > Shirts",
        "seller_name": "Weavers & Co",
        "seller_url": "https://shop.example/",
        "store_country": "GB",
        "target_countries": ["GB", "IE"],
        "return_policy": "https://shop.example/returns",
        "is_eligible_search": True,
        "is_eligible_checkout": False,
    }
    assert (second["availability"], second["variant_dict"]) == ("out_of_stock", {"sku": "S/1-2"})
    # A wrong last digit is no GTIN.
    assert {"gtin", "sale_price", "color"} & second.keys() == set()
    for line in (first, second):
        LINE.validate(line)


@pytest.mark.django_db
def test_what_lacks_a_brand_or_a_picture_has_no_line(staff: APIClient) -> None:
    brand = make_brand("Weavers")
    make_product(sku="whole", brand=brand)
    make_product(sku="nobody's")
    make_product(sku="unseen", brand=brand, images=0)
    make_product(sku="draft", brand=brand, status="draft")
    lines = fetch(staff)
    assert [line["item_id"] for line in lines] == ["whole"]
    assert {"group_id", "variant_dict"} & lines[0].keys() == set()
    assert lines[0]["listing_has_variations"] is False
    LINE.validate(lines[0])
    assert [line["item_id"] for line in fetch(staff, status="draft")] == ["draft"]


@pytest.mark.django_db
@pytest.mark.usefixtures("small_parts")
def test_a_job_and_the_command_write_what_is_streamed(staff: APIClient, tmp_path: Path) -> None:
    for _ in range(5):
        make_product(variants=2, brand=make_brand("Weavers"))
    streamed = read_body(staff.get(FEED, HTTP_ACCEPT_ENCODING="identity"))
    job = ask_for(staff, format="agentic", compression="gzip")
    assert UNPACK["gzip"](download(staff, job)) == streamed
    assert ".jsonl" in staff.get(f"/api/v1/exports/{job.pk}/manifest/").json()["file"]
    file = tmp_path / "feed.jsonl"
    call_command("export", "products", format="agentic", output=str(file), json=True)
    assert file.read_bytes() == streamed
    assert streamed.count(b"\n") == 10


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["PRODUCT_URL_TEMPLATE", "SELLER_NAME", "SELLER_COUNTRIES"])
def test_a_setting_that_is_missing_is_named(staff: APIClient, settings: Any, name: str) -> None:
    setattr(settings, name, type(getattr(settings, name))())
    for answer in (staff.get(FEED), post(staff, format="agentic")):
        assert (answer.status_code, answer.json()["code"]) == (422, "setting_missing")
        assert f"{name} isn't set on this server" in answer.json()["detail"]
        assert answer.json()["hint"].startswith(f"Set it, as in {name}=")


@hypothesis_settings(max_examples=share(60), deadline=None)
@given(PRODUCTS)
def test_each_line_of_any_product_is_valid(product: Any) -> None:
    lines = [json.loads(line) for line in Agentic.write_rows(write_json(product)).splitlines()]
    assert len(lines) == (len(product["variants"]) if product["brand"] and product["images"] else 0)
    for line in lines:
        LINE.validate(line)
        assert line.get("group_id") != line["item_id"]
        if "sale_price" in line:
            assert float(line["sale_price"].split()[0]) < float(line["price"].split()[0])
    assert len({line.get("group_id") for line in lines}) <= 1


def test_a_gtin_proves_itself() -> None:
    assert [code for code in ("4006381333931", "036000291452", "12345670", "4006381333930") if is_gtin(code)] == [
        "4006381333931",
        "036000291452",
        "12345670",
    ]
