"""Writes of single variants and images, at addresses of their own."""

import pytest
from rest_framework.test import APIClient

from catalog.models import Image, Product, Variant
from tests.factories import make_product

pytestmark = pytest.mark.django_db

PRODUCTS = "/api/v1/products/"


def test_a_variant_is_added_changed_and_deleted(staff: APIClient) -> None:
    tea = make_product(sku="TEA", price="5.00", stock=0)
    body = {"sku": "TEA-L", "price": "4.00", "options": {"Size": "L"}, "on_hand": 3}
    made = staff.post(f"{PRODUCTS}{tea.pk}/variants/", body, headers={"Idempotency-Key": "1"})
    assert (made.status_code, made["Location"]) == (201, "http://testserver/api/v1/variants/TEA-L/")
    assert (made.json()["position"], made.json()["product"]) == (2, tea.pk)
    product = Product.objects.get()
    assert (str(product.price), product.in_stock, product.version > tea.version) == ("4.00", True, True)
    assert staff.post(f"{PRODUCTS}{tea.pk}/variants/", body, headers={"Idempotency-Key": "1"}).content == made.content
    changed = staff.patch(made["Location"], {"sku": "TEA-XL", "price": "6.00"}, headers={"If-Match": made["ETag"]})
    assert (changed.json()["sku"], changed.json()["version"], str(Product.objects.get().price)) == ("TEA-XL", 2, "5.00")
    place = "/api/v1/variants/TEA-XL/"
    assert staff.delete(place, headers={"If-Match": made["ETag"]}).status_code == 412
    assert staff.delete(place, headers={"If-Match": changed["ETag"]}).status_code == 204
    last = staff.delete("/api/v1/variants/TEA/")
    assert (last.status_code, last.json()["hint"]) == (409, "Delete the product itself.")
    assert not Product.objects.get().in_stock


def test_an_image_is_added_changed_and_deleted(staff: APIClient) -> None:
    tea = make_product(images=1)
    images = f"{PRODUCTS}{tea.pk}/images/"
    made = staff.post(images, {"url": "https://images.example/a.jpg"})
    assert (made.status_code, made.json()["position"]) == (201, 2)
    assert staff.get(made["Location"]).json() == made.json()
    changed = staff.patch(made["Location"], {"position": 0, "alt": "Front"}, headers={"If-Match": made["ETag"]})
    assert changed.status_code == 200, changed.json()
    assert Product.objects.get().image_url == "https://images.example/a.jpg"
    assert staff.patch(made["Location"], {"alt": ""}, headers={"If-Match": made["ETag"]}).status_code == 412
    version = Product.objects.get().version
    assert staff.delete(made["Location"], headers={"If-Match": changed["ETag"]}).status_code == 204
    assert (Image.objects.count(), Product.objects.get().version) == (1, version + 1)
    other = make_product()
    assert staff.get(f"{PRODUCTS}{other.pk}/images/{tea.images.get().pk}/").status_code == 404


def test_a_part_with_faults_is_refused_and_writes_nothing(staff: APIClient) -> None:
    tea, cup = make_product(sku="TEA"), make_product(sku="CUP", variants=2)
    url = tea.images.get().url
    variants, images = f"{PRODUCTS}{tea.pk}/variants/", f"{PRODUCTS}{tea.pk}/images/"
    for method, address, body, fault in (
        ("post", variants, {"sku": "TEA", "price": "1.00"}, ("/sku", "taken")),
        ("post", variants, {"sku": "CUP", "price": "1.00"}, ("/sku", "taken")),
        ("post", variants, {"sku": "NEW"}, ("/price", "required")),
        ("post", variants, {"sku": "NEW", "price": "1.00", "id": 1}, ("/id", "unknown_member")),
        ("patch", "/api/v1/variants/CUP/", {"sku": "CUP-2"}, ("/sku", "taken")),
        ("post", images, {"url": url}, ("/url", "taken")),
        ("post", images, {"url": "ftp://a/b.jpg"}, ("/url", "invalid")),
    ):
        answer = getattr(staff, method)(address, body)
        found = answer.json()["errors"][0]
        assert (found["pointer"], found["code"]) == fault, answer.json()
    assert staff.post(f"{PRODUCTS}{cup.pk + 9}/variants/", {"sku": "A", "price": "1"}).status_code == 404
    assert (Variant.objects.count(), Image.objects.count()) == (3, 2)
