"""Texts are stored composed and have no character that can't be seen; either form finds them, and old rows stay."""

from itertools import product as pair_up
from typing import Any
from unicodedata import normalize
from urllib.parse import quote

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Attribute, Brand, Image, Product, Stock, Variant
from catalog.writes.stored import find_odd_skus
from catalog.writes.texts import find_unseen
from tests.catalog.test_every_door import DOORS
from tests.factories import make_brand, make_category, make_product, make_user

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"
COMPOSED, DECOMPOSED = "CAFÉ-1", normalize("NFD", "CAFÉ-1")


@pytest.mark.parametrize("door", DOORS)
def test_a_text_is_stored_composed(door: str, staff: APIClient) -> None:
    DOORS[door](staff, [{"sku": DECOMPOSED, "title": DECOMPOSED, "price": "1"}])
    DOORS[door](staff, [{"sku": f"{DECOMPOSED}b", "title": "T", "price": "1", "slug": normalize("NFD", "é")}])
    assert list(Product.objects.order_by("pk").values_list("sku", "title", "slug")) == [
        (COMPOSED, COMPOSED, "café-1"),
        (f"{COMPOSED}b", "T", "é"),
    ]


@pytest.mark.parametrize("door", DOORS)
def test_attributes_and_options_are_stored_composed_and_found_by_either_form(door: str, staff: APIClient) -> None:
    names = normalize("NFC", "Größe"), normalize("NFD", "Größe")
    values = normalize("NFC", "Café"), normalize("NFD", "Café")
    Attribute.objects.create(name=names[0], type="text")
    variant = {"sku": "A-1", "price": "1", "options": {names[1]: values[1]}}
    DOORS[door](staff, [{"sku": "A", "title": "T", "attributes": {names[1]: values[1]}, "variants": [variant]}])
    assert Product.objects.get().attributes == {names[0]: values[0]}
    assert Variant.objects.get(sku="A-1").options == {names[0]: values[0]}
    for name, value in pair_up(names, values):
        assert len(staff.get(URL, {f"attr.{name}": value}).json()["results"]) == 1
    answer = staff.patch(f"{URL}{Product.objects.get().pk}/", {"attributes": {names[1]: 5}})
    assert (answer.status_code, "declared" in answer.json()["detail"]) == (400, True)
    answer = staff.patch(f"{URL}{Product.objects.get().pk}/", {"attributes": dict.fromkeys(names, "x")})
    assert (answer.status_code, "look the same" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("door", ["bulk", "ndjson", "csv"])
@pytest.mark.parametrize(("stored", "given"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_either_form_of_a_sku_means_the_stored_row_and_leaves_its_form(
    stored: str, given: str, door: str, staff: APIClient
) -> None:
    make_product(sku=stored)
    DOORS[door](staff, [{"sku": given, "title": "New", "price": "2"}])
    assert list(Product.objects.values_list("sku", "title")) == [(stored, "New")]
    assert list(Variant.objects.values_list("sku", "price")) == [(stored, 2)]


def test_a_decomposed_sku_is_written_anew_by_id_unless_it_has_a_twin(staff: APIClient) -> None:
    product = make_product(sku=DECOMPOSED)
    variant = product.variants.get()
    body = {"sku": COMPOSED, "variants": [{"id": variant.pk, "sku": COMPOSED}]}
    answer = staff.patch(f"{URL}{product.pk}/", body)
    assert (answer.status_code, answer.json()["sku"]) == (200, COMPOSED), answer.json()
    variant.refresh_from_db()
    assert variant.sku == COMPOSED
    twin = make_product(sku=DECOMPOSED)
    body = {"sku": COMPOSED, "variants": [{"id": twin.variants.get().pk, "sku": COMPOSED}]}
    answer = staff.patch(f"{URL}{twin.pk}/", body)
    assert (answer.status_code, {error["code"] for error in answer.json()["errors"]}) == (409, {"taken"})


@pytest.mark.parametrize(("stored", "given"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_stock_prices_orders_and_filters_find_either_form(stored: str, given: str, staff: APIClient) -> None:
    product = make_product(sku=stored, stock=0)
    answer = staff.patch("/api/v1/stock/bulk/", [{"sku": given, "on_hand": 7}])
    assert (answer.status_code, Stock.objects.get().on_hand) == (200, 7), answer.json()
    answer = staff.patch("/api/v1/prices/bulk/", [{"sku": given, "price": "3.00"}])
    assert (answer.status_code, Variant.objects.get().price) == (200, 3), answer.json()
    buyer = APIClient()
    buyer.force_authenticate(make_user())
    answer = buyer.post("/api/v1/orders/", {"lines": [{"sku": given, "quantity": 1}]})
    assert (answer.status_code, answer.json()["lines"][0]["sku"]) == (201, stored)
    found = staff.get(URL, {"sku": given}).json()["results"]
    assert [row["id"] for row in found] == [product.pk]


def test_a_path_and_a_slug_in_decomposed_form_find_the_composed_row(client: APIClient) -> None:
    product = make_product(sku=COMPOSED, brand=make_brand("Café"), category=make_category("Thé"))
    for path in (
        f"variants/{DECOMPOSED}/",
        f"brands/{normalize('NFD', 'café')}/",
        f"categories/{normalize('NFD', 'thé')}/",
    ):
        for _ in range(3):  # by Django, then by the gates
            assert client.get(f"/api/v1/{quote(path)}").status_code == 200, path
    for name, slug in (("brand", "café"), ("category", "thé")):
        assert [row["id"] for row in client.get(URL, {name: normalize("NFD", slug)}).json()["results"]] == [product.pk]
    assert client.get(f"/api/v1/{quote('variants/nöne/')}").status_code == 404


def test_what_scripts_and_emoji_need_stays_in_a_title(staff: APIClient) -> None:
    for number, title in enumerate(("می‌خواهم", "क्‍ष", "👩‍👩‍👧 set", "Size 1️⃣", "❤️")):
        answer = staff.post(URL, {"sku": f"S{number}", "title": title, "price": "1"})
        assert (answer.status_code, answer.json().get("title")) == (201, title)


@pytest.mark.parametrize("text", ["a", "Ünïcode 漢字 🧵", "a\u00a0b", "", "x" * 500])
def test_what_can_be_seen_is_seen(text: str) -> None:
    assert find_unseen(text) is None


def test_an_e_mail_address_and_a_name_are_composed_and_seen(staff: APIClient) -> None:
    user = User.objects.create_user(normalize("NFD", "mia@café.example"))
    assert user.email == "mia@café.example"
    with pytest.raises(ValidationError, match=r"U\+200B as its character 6"):
        User.objects.create_user("mia@a\u200b.example")
    caller = APIClient()
    caller.force_authenticate(user)
    assert caller.patch("/api/v1/me/", {"first_name": normalize("NFD", "Zoé")}).json()["first_name"] == "Zoé"
    answer = caller.patch("/api/v1/me/", {"first_name": "Mi\u202ea"})
    assert [error["code"] for error in answer.json()["errors"]] == ["unseen_characters_not_allowed"]


# -- the admin -----------------------------------------------------------------------------------------------------


@pytest.fixture
def browser() -> Client:
    browser = Client()
    browser.force_login(User.objects.create_superuser("root@example.com", "x"))
    return browser


def save(browser: Client, path: str, **values: Any) -> Any:
    return browser.post(f"/admin/catalog/{path}", values)


@pytest.mark.slow
def test_the_admin_has_the_same_rules(browser: Client) -> None:
    answer = save(browser, "brand/add/", name="A\u202eb", slug="a")
    assert "U+202E as its character 2" in answer.content.decode()
    save(browser, "brand/add/", name=normalize("NFD", "Café"), slug="cafe")
    assert list(Brand.objects.values_list("name", flat=True)) == ["Café"]
    product = make_product(images=0)
    for url in (
        "java\tscript:alert(1)",
        "javascript:alert(1)",
        "//elsewhere.example/a.jpg",
        "\\\\elsewhere.example/a.jpg",
    ):
        assert save(browser, "image/add/", product=product.pk, url=url, position=1).status_code == 200
    assert not Image.objects.exists()
    taken = ["/media/a.jpg", "b.jpg", "https://images.example/c.jpg"]
    for position, url in enumerate(taken):
        assert save(browser, "image/add/", product=product.pk, url=url, position=position).status_code == 302
    assert [image.url for image in Image.objects.order_by("position")] == taken


def test_a_stored_text_that_nobody_changes_stays(browser: Client) -> None:
    brand = Brand.objects.create(name="A\u200bb", slug="a")
    values = {"name": "A\u200bb", "slug": "b", "_shown_version": brand.version}
    assert save(browser, f"brand/{brand.pk}/change/", **values).status_code in (200, 302)
    assert Brand.objects.get().name == "A\u200bb"


# -- what is stored ------------------------------------------------------------------------------------------------


def test_doctor_lists_skus_that_are_decomposed_or_hold_what_cant_be_seen() -> None:
    make_product(sku="plain")
    make_product(sku=COMPOSED)
    assert list(find_odd_skus()) == []
    make_product(sku=f"{DECOMPOSED}2")
    make_product(sku="A\u200b1")
    [(detail, remedy)] = find_odd_skus()
    assert r"'A\u200b1', 'CAFE\u0301-12'" in detail
    assert "by the id" in remedy
