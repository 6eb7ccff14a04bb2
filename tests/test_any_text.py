"""What anybody may write into an address or a header is never a 500: NUL in each path, long values, own tags."""

import os
import re
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from tests.examples import halve
from tests.factories import make_brand, make_category, make_product, make_user

pytestmark = pytest.mark.django_db

# A place in a route that a client fills in: `<slug:name>`, `(?P<pk>[0-9]{1,18})`, `(?P<path>.*)`.
PLACE = re.compile(r"<[^>]+>|\(\?P<\w+>(?:[^()]|\([^()]*\))*\)")
TEXTS = ("a%00b", "%00", "1%00", "a%ED%A0%80b", "%C3%28", "9" * 5_000, "9" * 18, "é" * 300, "..", "%2F%5C%22'")


def list_routes(found: Any = None, prefix: str = "/") -> Iterator[str]:
    for pattern in (found or get_resolver()).url_patterns:
        route = prefix + str(pattern.pattern).lstrip("^")
        if isinstance(pattern, URLResolver):
            yield from list_routes(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield re.sub(r"\\([./-])|[$]|\\Z", r"\1", route)


ROUTES = sorted({route for route in list_routes() if PLACE.search(route)})


def test_routes_are_found() -> None:
    assert len(ROUTES) > 30
    assert "/api/v1/brands/(?P<slug>[^/]+)/" in ROUTES


@pytest.mark.parametrize("route", ROUTES)
def test_any_text_in_a_path_is_answered(route: str, staff: APIClient, admin_user: Any) -> None:
    staff.force_login(admin_user)  # the admin knows sessions only
    for text in halve(TEXTS, route):
        path = PLACE.sub(text.replace("\\", r"\\"), route)
        answer = staff.get(path)
        assert answer.status_code < 500, path
        if "%00" in text:
            assert answer.status_code == 404, path
            assert staff.get(path.rstrip("/")).status_code == 404
            assert staff.patch(path, {}).status_code == 404


# -- values of parameters ----------------------------------------------------------------------------------------

# Each parameter is sent one value in so many, others on another path. `make test-faults` sends each all.
SHARE = int(os.environ.get("SHARE", "4"))
LONG = ("x" * 5_000, "9" * 5_000, ",".join("9" * 200), "é" * 5_000, "-" * 30, "a b " * 1_000, "\0", "2026-01-31T" * 9)


def list_parameters() -> list[tuple[str, str]]:
    document = APIClient().get("/api/v1/schema/", headers={"Accept": "application/json"}).json()
    return [
        (path, parameter["name"])
        for path, methods in sorted(document["paths"].items())
        for parameter in methods.get("get", {}).get("parameters", ())
        if parameter["in"] == "query" and "{" not in path
    ]


@pytest.mark.slow
def test_any_value_of_any_parameter_is_answered(staff: APIClient) -> None:
    make_product(brand=make_brand("Acme"), category=make_category("Food"))
    asked = list_parameters()
    assert ("/api/v1/products", "brand") in asked
    assert ("/api/v1/imports", "page_size") in asked
    for path, name in [*asked, ("/api/v1/products/", "attr.size"), ("/api/v1/products/", "nonsense")]:
        for value in LONG[crc32(f"{path} {name}".encode()) % SHARE :: SHARE]:
            assert staff.get(path, {name: value}).status_code < 500, (path, name, value[:20])


def test_any_name_of_an_import_is_answered(staff: APIClient) -> None:
    answer = staff.post(f"/api/v1/imports/?name={'x' * 5_000}", b"sku,title,price\nA,Tea,1\n", content_type="text/csv")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "?name")


# -- one's own tag -----------------------------------------------------------------------------------------------


def test_who_has_a_row_is_told_so_whatever_row_it_is(staff: APIClient) -> None:
    product = make_product(sku="A-1", brand=make_brand("Acme"), category=make_category("Food"))
    user = make_user()
    paths = (
        f"products/{product.pk}/", "variants/A-1/", "brands/acme/", "categories/food/", "categories/food/tree/",
        f"users/{user.pk}/", "me/", "products/", "brands/", "users/", "orders/", f"products/{product.pk}/variants/",
    )  # fmt: skip
    for path in paths:
        first = staff.get(f"/api/v1/{path}")
        assert first.status_code == 200
        for tag in {first.get("ETag", '"any"'), "*", '"any"', 'W/"1.a", "b"'}:
            again = staff.get(f"/api/v1/{path}", headers={"If-None-Match": tag})
            is_known = "ETag" in first and tag in (first["ETag"], "*")
            assert again.status_code == (304 if is_known else 200), (path, tag)
            assert again.get("Cache-Control") == first.get("Cache-Control")
