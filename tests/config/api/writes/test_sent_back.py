"""Whoever saves a whole record sends back what it has read: it is saved, and nothing is dropped in silence."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Attribute, Location, Product
from config.api.webhooks.models import Webhook
from exports.models import Feed
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db


@pytest.fixture
def addresses(admin_user: User) -> dict[str, str]:
    """The addresses of rows that can be changed, by resource."""
    brand, category = make_brand("Acme"), make_category("Food", "Tea")
    product = make_product(brand=brand, category=category, variants=2)
    Location.objects.create(code="north")
    Attribute.objects.create(name="color", type="text")
    feed = Feed.objects.create(owner=admin_user, resource="products", format="csv")
    hook = Webhook.objects.create(owner=admin_user, position=0, url="https://shop.example/", events=["product.*"])
    keys: dict[str, Any] = {
        "products": product.pk,
        "variants": product.variants.earliest("pk").sku,
        "brands": brand.slug,
        "categories": category.slug,
        "attributes": "color",
        "locations": "north",
        "feeds": feed.pk,
        "webhooks": hook.pk,
        f"products/{product.pk}/images": product.images.earliest("pk").pk,
        "me/addresses": admin_user.addresses.create(name="Root", line1="1 Hill", city="Bath", country="GB").pk,
    }
    return {name.rpartition("/")[2]: f"/api/v1/{name}/{key}/" for name, key in keys.items()} | {"me": "/api/v1/me/"}


NAMES = (
    *("products", "variants", "images", "brands", "categories", "attributes", "locations", "feeds", "webhooks"),
    *("me", "addresses"),
)
# What any write of the row changes.
CHANGING = ("updated_at", "version", "next_at")


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_saved_as_it_was_read(name: str, addresses: dict[str, str], staff: APIClient) -> None:
    row = staff.get(addresses[name]).json()
    answer = staff.patch(addresses[name], row)
    assert answer.status_code == 200, answer.content
    assert answer.json() == row | {key: value for key, value in answer.json().items() if key in CHANGING}


def test_a_whole_product_is_put_with_what_it_was_read_with(addresses: dict[str, str], staff: APIClient) -> None:
    url = f"{addresses['products']}?expand=brand,category,variants.stock,images"
    row = staff.get(url).json()
    row["title"], row["variants"][1]["price"] = "Green Tea", "77.00"
    answer = staff.put(url, row)
    assert answer.status_code == 200, answer.content
    saved = answer.json()
    assert (saved["title"], saved["variants"][1]["price"]) == ("Green Tea", "77.00")
    assert saved["variants"][0] | {"version": 1} == row["variants"][0] | {"version": 1}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"in_stock": 1}, "/in_stock"),
        ({"version": 7}, "/version"),
        ({"url": "https://x.example/"}, "/url"),
        ({"images_url": None}, "/images_url"),
        ({"variants": [{"id": 1, "version": 9}]}, "/variants/0/version"),
        ({"variants": [{"sku": "B", "price": "1.00", "version": 1}]}, "/variants/0/version"),
        ({"variants": [{"id": [], "version": 1}]}, "/variants/0/version"),
    ],
)
def test_another_value_is_an_error(
    changes: dict[str, Any], pointer: str, addresses: dict[str, str], staff: APIClient
) -> None:
    for part in changes.get("variants", ()):
        part["id"] = Product.objects.get().variants.earliest("pk").pk if part.get("id") == 1 else part.get("id")
    answer = staff.patch(addresses["products"], changes)
    assert answer.status_code == 400
    assert (pointer, "unknown_member") in [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]]


def test_what_a_new_row_can_not_have_is_named(addresses: dict[str, str], staff: APIClient) -> None:
    body = {"sku": "B", "title": "B", "price": "1.00", "version": 1, "prise": 1}
    told = {fault["pointer"]: fault["detail"] for fault in staff.post("/api/v1/products/", body).json()["errors"]}
    assert told["/version"].startswith("This can't be written. Leave it out")
    assert told["/prise"].startswith("Unknown member.")


def test_a_body_without_such_members_costs_no_query(addresses: dict[str, str], staff: APIClient) -> None:
    counted = []
    for body in ({"name": "Acme Tea"}, {"name": "Acme Oil", "id": staff.get(addresses["brands"]).json()["id"]}):
        with CaptureQueriesContext(connection) as found:
            assert staff.patch(addresses["brands"], body).status_code == 200
        counted.append(len(found))
    assert counted[1] == counted[0] + 1
