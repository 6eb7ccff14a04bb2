"""Brands and categories: small lists, by page numbers, and a tree."""

import pytest
from rest_framework.test import APIClient

from tests.factories import make_brand, make_category

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


def test_a_tree_is_nested_by_name(client: APIClient) -> None:
    make_category("Food", "Tea", "Green")
    make_category("Food", "Bread")
    make_category("Home")
    tree = client.get("/api/v1/categories/food/tree/").json()
    assert [child["name"] for child in tree["children"]] == ["Bread", "Tea"]
    assert tree["children"][1]["children"][0]["slug"] == "food-tea-green"
    assert client.get("/api/v1/categories/nothing/tree/").status_code == 404
    assert client.get("/api/v1/categories/food/").json()["parent"] is None
