"""The page of a product: typed attributes, stock beside the price, new pictures, and a copy."""

import json
import re
from html import unescape
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image as Pillow

from catalog.models import Attribute, Image, Product, Stock
from catalog.staff.duplicates import duplicate_product
from tests.catalog.test_admin import read_form
from tests.factories import make_product, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def office(admin_client: Client) -> Client:
    return admin_client


def find_page(product: Product) -> str:
    return reverse("admin:catalog_product_change", args=(product.pk,))


def save(office: Client, product: Product, **changes: Any) -> Any:
    path = find_page(product)
    return office.post(path, read_form(office.get(path)) | changes)


def read_errors(answer: Any) -> str:
    return unescape(re.sub(r"\s+", " ", answer.content.decode()))


def read_attributes(page: Any) -> dict[str, str]:
    """What the inputs of attributes have."""
    text = page.content.decode()
    values = dict(re.findall(r'name="(attributes__\w+)" value="([^"]*)"', text))
    for name, choices in re.findall(r'<select name="(attributes__\w+)"(.*?)</select>', text, re.DOTALL):
        values[name] = next(iter(re.findall(r'value="(\w+)" selected', choices)), "")
    values["attributes"] = unescape(
        re.findall(r'<textarea name="attributes"[^>]*>(.*?)</textarea>', text, re.DOTALL)[0]
    )
    return values


@pytest.fixture
def declared() -> None:
    for name, kind in (("volts", "number"), ("organic", "boolean"), ("colour", "text")):
        Attribute.objects.create(name=name, type=kind)


@pytest.mark.slow
@pytest.mark.usefixtures("declared")
def test_declared_attributes_are_fields_and_others_stay_json(office: Client) -> None:
    product = make_product(attributes={"volts": 230, "organic": False, "size": {"w": 1}})
    form = read_attributes(office.get(find_page(product)))
    assert (form["attributes__volts"], form["attributes__organic"], form["attributes__colour"]) == ("230", "false", "")
    assert json.loads(form["attributes"]) == {"size": {"w": 1}}
    typed = {"attributes__volts": "12.5", "attributes__organic": "", "attributes__colour": "red"}
    assert save(office, product, **(form | typed)).status_code == 302
    product.refresh_from_db()
    assert product.attributes == {"volts": 12.5, "colour": "red", "size": {"w": 1}}
    version = product.version
    assert save(office, product, **read_attributes(office.get(find_page(product)))).status_code == 302
    product.refresh_from_db()
    assert product.version == version


@pytest.mark.slow
@pytest.mark.usefixtures("declared")
def test_an_attribute_of_another_type_is_an_error_and_stays_typed(office: Client) -> None:
    product = make_product(attributes={})
    answer = save(office, product, attributes__volts="many")
    assert answer.status_code == 200
    assert 'name="attributes__volts" value="many"' in answer.content.decode()
    product.refresh_from_db()
    assert product.attributes == {}


@pytest.mark.slow
def test_stock_is_written_in_the_row_of_its_variant(office: Client) -> None:
    product = make_product(variants=2)
    first, second = product.variants.order_by("position", "pk")
    Stock.objects.update_or_create(variant=first, location="main", defaults={"on_hand": 5, "reserved": 3})
    Stock.objects.filter(variant=second).delete()
    assert "3 are reserved by orders" in read_errors(save(office, product, **{"variants-0-on_hand": "2"}))
    assert save(office, product, **{"variants-0-on_hand": "4", "variants-1-on_hand": "7"}).status_code == 302
    assert Stock.objects.get(variant=first, location="main").on_hand == 4
    assert Stock.objects.get(variant=second, location="main").on_hand == 7


def test_a_page_left_open_takes_no_sold_pieces_back(office: Client) -> None:
    product = make_product(variants=1)
    stock, _ = Stock.objects.update_or_create(variant=product.variants.get(), location="main", defaults={"on_hand": 5})
    form = read_form(office.get(find_page(product)))
    Stock.objects.filter(pk=stock.pk).update(on_hand=4)
    assert office.post(find_page(product), form | {"title": "New"}).status_code == 302
    stock.refresh_from_db()
    assert stock.on_hand == 4


def draw(color: str) -> SimpleUploadedFile:
    out = BytesIO()
    Pillow.new("RGB", (30, 20), color).save(out, "PNG")
    return SimpleUploadedFile(f"{color}.png", out.getvalue())


@pytest.mark.slow
def test_pictures_are_added_behind_the_others_and_a_bad_one_is_named(office: Client) -> None:
    product = make_product(images=1)
    bad = SimpleUploadedFile("logo.svg", b"<svg/>")
    told = read_errors(save(office, product, pictures=[draw("red"), bad]))
    assert "'logo.svg' is a text, such as SVG" in told
    assert "loses its files: red.png, logo.svg." in told
    assert product.images.count() == 1
    assert save(office, product, pictures=[draw("red"), draw("blue")]).status_code == 302
    rows = list(product.images.order_by("position").values_list("position", "width", "alt"))
    assert [(place, width) for place, width, _ in rows] == [(1, None), (2, 30), (3, 30)]
    assert rows[1][2] == Product.objects.get().title


def test_copies_have_skus_of_their_own(office: Client) -> None:
    product = make_product(variants=2, images=2, attributes={"a": 1})
    first, second = duplicate_product(product), duplicate_product(product)
    # The first copy's second variant is -COPY-2 already.
    assert [first.sku, second.sku] == [f"{product.sku}-COPY", f"{product.sku}-COPY-3"]
    first.refresh_from_db()
    product.refresh_from_db()
    assert (first.status, first.price, first.in_stock, first.attributes) == ("draft", product.price, False, {"a": 1})
    assert (first.variants.count(), first.images.count(), first.image_url) == (2, 2, product.image_url)
    assert Image.objects.count() == 6


def test_duplicate_saves_and_opens_the_copy(office: Client) -> None:
    product = make_product()
    answer = save(office, product, title="Saved first", catalog_product_duplicate="1")
    copy = Product.objects.get(sku=f"{product.sku}-COPY")
    assert (answer.status_code, answer["Location"]) == (302, find_page(copy))
    assert copy.title == "Saved first (copy)"


def test_who_may_only_look_sees_the_page_without_a_form() -> None:
    product = make_product(attributes={"a": 1}, images=1)
    viewer = make_user(is_staff=True)
    for name in ("product", "variant", "image", "producttext"):
        viewer.user_permissions.add(Permission.objects.get(codename=f"view_{name}"))
    browser = Client()
    browser.force_login(viewer)
    page = browser.get(find_page(product))
    assert page.status_code == 200
    assert b'name="pictures"' not in page.content
    assert browser.get("/admin/catalog/image/").status_code == 200
    assert browser.get("/admin/catalog/image/by-name/").status_code == 403


@pytest.mark.slow
def test_an_image_with_another_address_forgets_the_former_picture(office: Client) -> None:
    product = make_product(images=0)
    save(office, product, pictures=[draw("red")])
    image = product.images.get()
    path = reverse("admin:catalog_image_change", args=(image.pk,))
    assert office.post(path, read_form(office.get(path)) | {"url": "/other.jpg"}).status_code == 302
    image.refresh_from_db()
    assert (image.url, image.width, image.thumbnails) == ("/other.jpg", None, None)
