"""POST, PUT, PATCH and DELETE on products, with their variants and images."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Image, Product, Stock, Variant
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"


def list_pointers(answer: Any) -> list[str]:
    return [fault["pointer"] for fault in answer.json()["errors"]]


def test_a_simple_product_needs_a_sku_a_title_and_a_price(staff: APIClient) -> None:
    answer = staff.post(URL, {"sku": "A-1", "title": "Green Tea", "price": "4.50"})
    assert answer.status_code == 201
    row = answer.json()
    assert answer["Location"] == f"http://testserver{URL}{row['id']}/"
    assert (row["slug"], row["price"], row["status"], row["in_stock"]) == ("green-tea", "4.50", "active", False)
    assert row["description"] == ""
    assert Variant.objects.get().sku == "A-1"
    assert staff.get(answer["Location"]).json() == row


def test_a_whole_product_is_created_at_once(staff: APIClient) -> None:
    make_brand("Acme")
    make_category("Food", "Tea")
    body = {
        "sku": "A-1",
        "title": "Tea",
        "brand": "acme",
        "category": "food-tea",
        "status": "draft",
        "rating": "4.5",
        "attributes": {"color": "green"},
        "description": "Good.",
        "variants": [
            {"sku": "A-S", "price": "3.00", "options": {"Size": "S"}, "on_hand": 0},
            {"sku": "A-L", "price": "5.00", "options": {"Size": "L"}, "on_hand": 7, "weight": 250},
        ],
        "images": [{"url": "https://images.example/1.jpg", "alt": "Front"}],
    }
    row = staff.post(f"{URL}?expand=brand,variants.stock,images", body).json()
    assert (row["brand"]["name"], row["price"], row["in_stock"], row["rating"]) == ("Acme", "3.00", True, "4.50")
    assert row["image_url"] == "https://images.example/1.jpg"
    assert [variant["stock"][0]["on_hand"] for variant in row["variants"]] == [0, 7]
    assert [variant["position"] for variant in row["variants"]] == [1, 2]


def test_a_title_that_is_taken_gets_a_slug_of_its_own(staff: APIClient) -> None:
    slugs = [staff.post(URL, {"sku": sku, "title": "Tea", "price": "1"}).json()["slug"] for sku in ("A", "B")]
    assert slugs == ["tea", "tea-b"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/sku", "/title"]),
        ({"sku": "A", "title": "T"}, ["/price"]),
        ({"sku": "A", "title": "T", "price": "-1"}, ["/price"]),
        ({"sku": "A", "title": "T", "price": "1.001"}, ["/price"]),
        ({"sku": "A", "title": "T", "price": "NaN"}, ["/price"]),
        ({"sku": "A", "title": "T", "price": "9" * 20_000}, ["/price"]),
        ({"sku": "A", "title": "T", "price": "1", "rating": 5.1}, ["/rating"]),
        ({"sku": "A", "title": "T", "price": "1", "brand": "nobody"}, ["/brand"]),
        ({"sku": "A", "title": "T", "price": "1", "status": "gone"}, ["/status"]),
        ({"sku": "A", "title": "T", "price": "1", "currency": "usd"}, ["/currency"]),
        ({"sku": "A" * 101, "title": "T", "price": "1"}, ["/sku"]),
        ({"sku": "A", "title": "T", "price": "1", "titel": "x"}, ["/titel"]),
        ({"sku": "A", "title": "T", "price": "x", "titel": "x"}, ["/titel", "/price"]),
        ({"sku": "A", "title": "T", "price": "1", "id": 7, "version": 3}, ["/id", "/version"]),
        ({"sku": "A", "title": "T", "variants": [{"sku": "V"}]}, ["/variants/0/price"]),
        ({"sku": "A", "title": "T", "variants": [{"sku": "V", "price": "1", "colour": 1}]}, ["/variants/0/colour"]),
        ({"sku": "A", "title": "T", "variants": [{"sku": "V", "price": "1", "on_hand": -1}]}, ["/variants/0/on_hand"]),
        ({"sku": "A", "title": "T", "variants": [{"sku": "V", "price": "1", "weight": 2**31}]}, ["/variants/0/weight"]),
        ({"sku": "A", "title": "T", "variants": [{"id": 99, "sku": "V", "price": "1"}]}, ["/variants/0/id"]),
        ({"sku": "A", "title": "T", "price": "1", "images": [{"url": "no url"}]}, ["/images/0/url"]),
        ({"sku": "A", "title": "T", "price": "1", "images": [{"alt": "x"}]}, ["/images/0/url"]),
        ({"sku": "A", "title": "T", "price": "1", "attributes": []}, ["/attributes"]),
        ({"sku": "A", "title": "T", "price": "1", "variants": {}}, ["/variants"]),
    ],
)
def test_a_wrong_member_is_named_and_nothing_is_written(
    body: dict[str, Any], pointers: list[str], staff: APIClient
) -> None:
    answer = staff.post(URL, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body")
    assert list_pointers(answer) == pointers
    assert not Product.objects.exists()


def test_a_sku_belongs_to_one_variant(staff: APIClient) -> None:
    make_product(sku="TAKEN")
    other = make_product(sku="OTHER")
    answer = staff.post(URL, {"sku": "TAKEN", "title": "T", "price": "1"})
    assert (answer.status_code, list_pointers(answer)) == (409, ["/sku"])
    answer = staff.patch(f"{URL}{other.pk}/", {"variants": [{"sku": "TAKEN", "price": "1"}]})
    assert (answer.status_code, list_pointers(answer)) == (409, ["/variants/0/sku"])
    doubled = {"variants": [{"sku": "X", "price": "1"}, {"sku": "X", "price": "1"}]}
    assert list_pointers(staff.patch(f"{URL}{other.pk}/", doubled)) == ["/variants/1/sku"]
    assert Variant.objects.count() == 2


def test_patch_changes_what_it_names_and_deletes_nothing(staff: APIClient) -> None:
    product = make_product(variants=2, images=2, description="Old.")
    url = f"{URL}{product.pk}/"
    body = {
        "title": "New",
        "description": "New.",
        "variants": [{"sku": product.sku, "price": "2.00"}, {"sku": "THIRD", "price": "3.00"}],
        "images": [{"url": product.image_url, "alt": "Front"}],
    }
    row = staff.patch(f"{url}?expand=variants,images", body).json()
    assert (row["title"], row["description"], row["price"]) == ("New", "New.", "2.00")
    assert len(row["variants"]) == 3
    assert [image["alt"] for image in row["images"]] == ["Front", ""]
    assert row["version"] > product.version


def test_patch_finds_a_variant_by_id_to_rename_it(staff: APIClient) -> None:
    product = make_product()
    variant = Variant.objects.get()
    staff.patch(f"{URL}{product.pk}/", {"variants": [{"id": variant.pk, "sku": "RENAMED"}]})
    variant.refresh_from_db()
    assert variant.sku == "RENAMED"


def test_put_replaces_the_nested_lists(staff: APIClient) -> None:
    product = make_product(variants=3, images=3)
    body = {
        "sku": product.sku,
        "title": "T",
        "variants": [{"sku": product.sku, "price": "1.00"}],
        "images": [{"url": "https://images.example/new.jpg"}],
    }
    row = staff.put(f"{URL}{product.pk}/?expand=variants,images", body).json()
    assert [variant["sku"] for variant in row["variants"]] == [product.sku]
    assert [image["url"] for image in row["images"]] == ["https://images.example/new.jpg"]
    assert staff.put(f"{URL}{product.pk}/", body | {"variants": []}).status_code == 400


def test_images_that_patch_adds_come_after_the_stored_ones(staff: APIClient) -> None:
    product = make_product(variants=2, images=2)
    new = {"variants": [{"sku": "NEW", "price": "1.00"}], "images": [{"url": "https://images.example/new.jpg"}]}
    row = staff.patch(f"{URL}{product.pk}/?expand=variants,images", new).json()
    assert [(variant["sku"], variant["position"]) for variant in row["variants"]][2:] == [("NEW", 3)]
    assert [image["position"] for image in row["images"]] == [1, 2, 3]


def test_what_patch_adds_stands_behind_what_it_moves(staff: APIClient) -> None:
    product = make_product()
    for skus in (["NEW", product.sku], [product.sku, "NEWER"]):
        variants = [{"sku": sku, "price": "1.00"} | ({"position": 7} if sku == product.sku else {}) for sku in skus]
        row = staff.patch(f"{URL}{product.pk}/?expand=variants", {"variants": variants}).json()
    assert [(variant["sku"], variant["position"]) for variant in row["variants"]] == [
        (product.sku, 7), ("NEW", 8), ("NEWER", 9),
    ]  # fmt: skip


def test_what_put_names_stands_in_its_order(staff: APIClient) -> None:
    product = make_product(variants=2)
    skus = [f"{product.sku}-2", "NEW", product.sku]
    body = {"sku": product.sku, "title": "T", "variants": [{"sku": sku, "price": "1.00"} for sku in skus]}
    row = staff.put(f"{URL}{product.pk}/?expand=variants", body).json()
    assert [(variant["sku"], variant["position"]) for variant in row["variants"]] == list(
        zip(skus, (1, 2, 3), strict=True)
    )


def test_the_price_of_a_single_variant_is_the_products(staff: APIClient) -> None:
    one, two = make_product(), make_product(variants=2)
    assert staff.patch(f"{URL}{one.pk}/", {"price": "7.70"}).json()["price"] == "7.70"
    assert Variant.objects.get(product=one).price == Decimal("7.70")
    answer = staff.patch(f"{URL}{two.pk}/", {"price": "7.70"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "derived")


def test_a_product_made_a_draft_is_still_shown_to_who_did_it(staff: APIClient) -> None:
    product = make_product()
    assert staff.patch(f"{URL}{product.pk}/", {"status": "draft"}).json()["status"] == "draft"


def test_an_error_in_fields_writes_nothing(staff: APIClient) -> None:
    assert staff.post(f"{URL}?fields=titel", {"sku": "A", "title": "T", "price": "1"}).status_code == 400
    assert not Product.objects.exists()


def test_delete_is_for_good(staff: APIClient) -> None:
    product = make_product(variants=2)
    assert staff.delete(f"{URL}{product.pk}/").status_code == 204
    assert staff.get(f"{URL}{product.pk}/").status_code == 404
    assert not any(model.objects.exists() for model in (Variant, Stock, Image))


@pytest.mark.parametrize(
    ("body", "status", "faults"),
    [
        ({"sku": "OTHER"}, 409, {"/sku": "taken"}),
        ({"slug": "other"}, 409, {"/slug": "taken"}),
        ({"variants": [{"sku": "A"}, {"sku": "A"}]}, 400, {"/variants/1/sku": "repeated"}),
        ({"variants": [{"sku": "A"}, {"id": "{a}"}]}, 400, {"/variants/1/id": "repeated"}),
        ({"variants": [{"id": "{a}", "sku": "A-2"}]}, 409, {"/variants/0/sku": "taken"}),
        ({"variants": [{"id": "{other}", "price": "1"}]}, 400, {"/variants/0/id": "not_found"}),
        ({"variants": [{"sku": "A", "on_hand": 2}]}, 409, {"/variants/0/on_hand": "reserved"}),
        ({"variants": [{"barcode": "1"}]}, 400, {"/variants/0/sku": "required", "/variants/0/price": "required"}),
        ({"images": [{"url": "https://i.example/1"}] * 2}, 400, {"/images/1/url": "repeated"}),
        ({"images": [{"alt": "x"}]}, 400, {"/images/0/url": "required"}),
        ({"images": [{"id": 10**9, "alt": "x"}]}, 400, {"/images/0/id": "not_found"}),
        ({"brand": "nobody", "category": "nowhere"}, 400, {"/brand": "does_not_exist", "/category": "does_not_exist"}),
        ({"slug": "other", "brand": "nobody"}, 400, {"/slug": "taken", "/brand": "does_not_exist"}),
    ],
)
def test_a_patch_names_every_fault_and_writes_nothing(
    body: dict[str, Any], status: int, faults: dict[str, str], staff: APIClient
) -> None:
    product, other = make_product(sku="A", variants=2), make_product(sku="OTHER", slug="other")
    Stock.objects.update(on_hand=5, reserved=3)
    keys = {"{a}": Variant.objects.get(sku="A").pk, "{other}": Variant.objects.get(product=other).pk}
    if "variants" in body:
        named = [variant | ({"id": keys[variant["id"]]} if "id" in variant else {}) for variant in body["variants"]]
        body = body | {"variants": named}
    before = staff.get(f"{URL}{product.pk}/?expand=variants.stock,images").json()
    answer = staff.patch(f"{URL}{product.pk}/", {"title": "New"} | body)
    assert answer.status_code == status
    assert {fault["pointer"]: fault["code"] for fault in answer.json()["errors"]} == faults
    assert staff.get(f"{URL}{product.pk}/?expand=variants.stock,images").json() == before


@pytest.mark.slow
def test_a_product_costs_the_same_queries_with_two_variants_and_with_two_hundred(staff: APIClient) -> None:
    def send(method: str, url: str, size: int) -> list[str]:
        variants = [{"sku": f"{size}-{n}", "price": f"{len(method)}", "on_hand": 1} for n in range(size)]
        images = [{"url": f"https://i.example/{method}/{n}"} for n in range(size)]
        texts = {"title": f"{method} {size}", "description": method}
        body = {"sku": f"P-{size}", "variants": variants, "images": images} | texts
        with CaptureQueriesContext(connection) as queries:
            answer = getattr(staff, method)(url, body)
        assert answer.status_code in (200, 201), answer.json()
        return [query["sql"][:60] for query in queries]

    counts = {}
    for size in (2, 200):
        created = send("post", URL, size)
        url = f"{URL}{Product.objects.get(sku=f'P-{size}').pk}/"
        counts[size] = (len(created), len(send("patch", url, size)), len(send("put", url, size)))
    assert counts[2] == counts[200]
    # 1, 2 savepoint and its release  3. the product under its SKU  4. variants under their SKUs  5. slugs
    # 6. the product's key, and on SQLite the variants'  7 - 11. images, product, text, variants, stock
    # 12. what is answered
    assert counts[2][0] == (13 if connection.vendor == "sqlite" else 12), created


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_only_who_has_the_permission_writes(method: str, client: APIClient) -> None:
    from django.contrib.auth.models import Permission

    product = make_product()
    url = URL if method == "post" else f"{URL}{product.pk}/"
    body = {"sku": "A-1", "title": "T", "price": "1"}
    assert getattr(client, method)(url, body).status_code == 401
    # is_staff opens the admin and nothing else.
    user = User.objects.create_user("a@example.com", "a", is_staff=True)
    client.force_authenticate(user)
    assert getattr(client, method)(url, body).status_code == 403
    assert Product.objects.get().title == product.title
    name = {"post": "add", "delete": "delete"}.get(method, "change")
    user.user_permissions.add(Permission.objects.get(codename=f"{name}_product"))
    client.force_authenticate(User.objects.get())
    assert getattr(client, method)(url, body).status_code in (200, 201, 204)


def test_options_describes_the_bodies_of_writes(staff: APIClient) -> None:
    post = staff.options(URL).json()["actions"]["POST"]
    assert {name for name, member in post.items() if member["required"]} == {"sku", "title"}
    assert not post["slug"]["read_only"]
