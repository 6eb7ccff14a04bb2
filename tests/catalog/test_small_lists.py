"""Brands, categories and declared attributes: small lists, by page numbers, a tree, and their writes."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from catalog.models import Attribute, Brand, Category, Location, Product
from catalog.writes.small_lists import DEEPEST
from tests.factories import make_brand, make_category, make_product

URL = "/api/v1/brands/"


pytestmark = pytest.mark.django_db


def test_brands_come_in_order_with_their_count(client: APIClient) -> None:
    make_brand("Zeta")
    make_brand("Acme")
    page = client.get(URL).json()
    assert [row["slug"] for row in page["results"]] == ["acme", "zeta"]
    assert (page["page"], page["count"], page["count_relation"]) == (1, 2, "eq")
    assert client.get(f"{URL}acme/").json()["name"] == "Acme"
    assert client.get(f"{URL}nobody/").status_code == 404


@pytest.mark.parametrize("name", ["brands", "categories", "attributes", "locations"])
def test_each_list_comes_by_id_too(name: str, client: APIClient) -> None:
    """As generic admin front ends ask for it."""
    make_category("Home", "Air")
    make_brand("Zeta")
    make_brand("Acme")
    for code in ("zinc", "amber"):
        Attribute.objects.create(name=code)
        Location.objects.create(code=code)
    for paged in ("", "&page_size=1&cursor="):
        found = [row["id"] for row in client.get(f"/api/v1/{name}/?ordering=-id{paged}").json()["results"]]
        assert found == sorted(found, reverse=True)
        assert found[0] > 1


def test_a_tree_is_nested_by_name(client: APIClient) -> None:
    make_category("Food", "Tea", "Green")
    make_category("Food", "Bread")
    make_category("Home")
    tree = client.get("/api/v1/categories/food/tree/").json()
    assert [child["name"] for child in tree["children"]] == ["Bread", "Tea"]
    assert tree["children"][1]["children"][0]["slug"] == "food-tea-green"
    assert client.get("/api/v1/categories/nothing/tree/").status_code == 404
    assert client.get("/api/v1/categories/food/").json()["parent"] is None


# -- writes -------------------------------------------------------------------------------------------------------

CATEGORIES = "/api/v1/categories/"


def test_a_brand_is_created_renamed_and_deleted(staff: APIClient) -> None:
    made = staff.post(URL, {"name": "Café Noir"}, headers={"Idempotency-Key": "1"})
    again = staff.post(URL, {"name": "Café Noir"}, headers={"Idempotency-Key": "1"})
    assert (made.status_code, made["Location"]) == (201, f"http://testserver{URL}caf%C3%A9-noir/")
    assert (again.content, Brand.objects.count()) == (made.content, 1)
    place = made["Location"]
    changed = staff.patch(place, {"name": "Noir"}, headers={"If-Match": made["ETag"]})
    assert (changed.json()["name"], changed.json()["slug"], changed.json()["version"]) == ("Noir", "café-noir", 2)
    assert staff.delete(place, headers={"If-Match": made["ETag"]}).status_code == 412
    assert staff.delete(place, headers={"If-Match": changed["ETag"]}).status_code == 204


def test_a_slug_or_a_name_that_is_taken_is_a_conflict_that_names_it(staff: APIClient) -> None:
    make_brand("Acme")
    make_category("Food", "Tea")
    Attribute.objects.create(name="volts")
    for url, body, pointer in (
        (URL, {"name": "ACME"}, "/slug"),
        (CATEGORIES, {"name": "Tea", "slug": "another", "parent": "food"}, "/name"),
        (CATEGORIES, {"name": "Food", "slug": "another"}, "/name"),
        ("/api/v1/attributes/", {"name": "volts"}, "/name"),
    ):
        answer = staff.post(url, body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (409, pointer), answer.json()


def test_a_category_moves_with_all_below_it_and_writes_no_product(
    staff: APIClient, django_assert_max_num_queries: Any
) -> None:
    tea = make_category("Food", "Tea", "Green")
    make_category("Drinks")
    for _ in range(3):
        make_product(category=tea)
    before = list(Product.objects.values_list("pk", "version", "updated_at"))
    with django_assert_max_num_queries(14) as queries:
        moved = staff.patch(f"{CATEGORIES}food-tea/", {"parent": "drinks"})
    assert not [query for query in queries if "catalog_product" in query["sql"].partition("catalog_tally")[0]]
    assert (moved.json()["parent"], moved.json()["slug"], moved.json()["version"]) == ("drinks", "food-tea", 2)
    assert staff.get("/api/v1/products/?category=drinks&count=exact").json()["count"] == 3
    assert list(Product.objects.values_list("pk", "version", "updated_at")) == before
    assert staff.patch(f"{CATEGORIES}food-tea/", {"parent": None}).json()["parent"] is None


def test_a_category_is_never_below_itself_nor_too_deep_nor_beside_a_namesake(staff: APIClient) -> None:
    make_category(*map(str, range(DEEPEST)))
    make_category("Food", "Tea")
    make_category("Drinks", "Tea")
    lowest = "-".join(map(str, range(DEEPEST)))
    for slug, parent, code in (
        ("food", "food-tea", "invalid"),
        ("food", "nothing", "does_not_exist"),
        ("food-tea", lowest, "max_depth"),
        ("food", "-".join(map(str, range(DEEPEST - 1))), "max_depth"),
        ("food-tea", "drinks", "taken"),
    ):
        answer = staff.patch(f"{CATEGORIES}{slug}/", {"parent": parent})
        assert answer.json()["errors"][0]["code"] == code, answer.json()


def test_what_is_used_is_not_deleted_but_merged(staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.writes.small_lists.MOST_MOVED", 2)
    make_product(category=make_category("Drinks"))
    tea = make_category("Food", "Tea")
    make_category("Food", "Tea", "Green")
    products = [make_product(category=tea) for _ in range(3)]
    assert "merge" in staff.delete(f"{CATEGORIES}food-tea/").json()["hint"]
    assert staff.delete(f"{CATEGORIES}food/").status_code == 409
    url = f"{CATEGORIES}food-tea/merge/"
    assert staff.post(url, {"into": "food-tea-green"}).status_code == 400
    assert staff.post(url, {"into": "drinks"}).json() == {"into": "drinks", "moved": 2, "done": False}
    assert staff.post(url, {"into": "drinks"}).json() == {"into": "drinks", "moved": 1, "done": True}
    assert staff.post(url, {"into": "drinks"}).status_code == 404
    assert staff.get(f"{CATEGORIES}food-tea-green/").json()["parent"] == "drinks"
    assert staff.get(f"{CATEGORIES}drinks/").json()["product_count"] == 4
    assert [row.version + 1 for row in products] == list(
        Product.objects.filter(pk__in=[row.pk for row in products]).order_by("pk").values_list("version", flat=True)
    )


def test_two_subcategories_of_one_name_stop_a_merge(staff: APIClient) -> None:
    make_category("Food", "Tea")
    make_category("Drinks", "Tea")
    answer = staff.post(f"{CATEGORIES}food/merge/", {"into": "drinks"})
    assert (answer.status_code, "drinks-tea" in answer.json()["hint"]) == (409, True)
    assert Category.objects.count() == 4


def test_a_declared_attribute_is_written_and_filters_at_once(staff: APIClient) -> None:
    make_product(attributes={"volts": 230})
    assert staff.get("/api/v1/products/?attr.volts=230").status_code == 400
    made = staff.post("/api/v1/attributes/", {"name": "volts", "type": "number"})
    assert len(staff.get("/api/v1/products/?attr.volts=230").json()["results"]) == 1
    changed = staff.patch(made["Location"], {"type": "text"}, headers={"If-Match": made["ETag"]})
    assert (changed.json()["type"], changed.json()["version"]) == ("text", 2)
    assert staff.patch(made["Location"], {"name": "a b"}).status_code == 400
    assert staff.delete(made["Location"]).status_code == 204
