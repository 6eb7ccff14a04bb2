"""A row's ETag: 304 for who has it already, and no write upon a version that isn't the present one."""

import gzip
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Product, Stock, Tally, Variant
from config.api.problems.errors import InvalidHeader
from config.api.reads.conditional import claim_version
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

PATHS = ("products/{id}/", "variants/A-1/", "brands/acme/", "categories/food/")


@pytest.fixture
def product() -> Product:
    return make_product(sku="A-1", brand=make_brand("Acme"), category=make_category("Food"))


def url_of(product: Product, query: str = "") -> str:
    return f"/api/v1/products/{product.pk}/{query}"


# -- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_each_row_has_an_etag_with_its_version(path: str, product: Product, client: APIClient) -> None:
    url = f"/api/v1/{path.format(id=product.pk)}"
    first = client.get(url)
    assert first["ETag"].startswith(f'W/"{first.json()["version"]}.')
    assert first["Cache-Control"] == "public, no-cache"
    for _ in range(2):  # brands and categories come from the cache the second time
        again = client.get(url, HTTP_IF_NONE_MATCH=first["ETag"])
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
        assert "Content-Type" not in again


def test_what_is_shown_of_a_row_has_an_etag_of_its_own(product: Product, client: APIClient) -> None:
    queries = ("", "?fields=id", "?expand=variants.stock")
    tags = {query: client.get(url_of(product, query))["ETag"] for query in queries}
    assert len(set(tags.values())) == 3
    assert len({tag.partition(".")[0] for tag in tags.values()}) == 1
    assert client.get(url_of(product), HTTP_IF_NONE_MATCH=tags["?fields=id"]).status_code == 200


def test_what_is_shown_of_other_rows_counts_too(product: Product, client: APIClient) -> None:
    url = url_of(product, "?expand=variants.stock")
    before = client.get(url)["ETag"]
    Stock.objects.update(on_hand=77)  # moves no version
    assert client.get(url, HTTP_IF_NONE_MATCH=before).status_code == 200


@pytest.mark.parametrize("form", ["{}", "*", '"other", {}', '{} , W/"x,y"', ",{},", "W/{strong}", "{strong}"])
def test_if_none_match_takes_every_form_of_the_header(form: str, product: Product, client: APIClient) -> None:
    tag = client.get(url_of(product))["ETag"]
    header = form.format(tag, strong=tag.removeprefix("W/"))
    assert client.get(url_of(product), HTTP_IF_NONE_MATCH=header).status_code == 304


def test_a_page_for_people_is_never_a_304(product: Product, client: APIClient) -> None:
    tag = client.get(url_of(product))["ETag"]
    page = client.get(url_of(product), HTTP_IF_NONE_MATCH=tag, HTTP_ACCEPT="text/html")
    assert (page.status_code, page.get("ETag")) == (200, None)


def test_the_version_costs_no_query(product: Product, client: APIClient, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        client.get(url_of(product))


# -- writing -----------------------------------------------------------------------------------------------------


def test_a_write_answers_with_the_etag_of_what_it_wrote(product: Product, staff: APIClient) -> None:
    answer = staff.patch(url_of(product), {"title": "New"})
    assert answer["ETag"] == staff.get(url_of(product))["ETag"]
    created = staff.post("/api/v1/products/", {"sku": "B", "title": "T", "price": "1"})
    assert created["ETag"] == staff.get(created["Location"])["ETag"]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_write_with_another_version_is_refused(method: str, product: Product, staff: APIClient) -> None:
    stale = staff.get(url_of(product))["ETag"]
    present = staff.patch(url_of(product), {"title": "Theirs"}).json()["version"]
    body = {"sku": "A-1", "title": "Mine"}
    answer = getattr(staff, method)(url_of(product), body, HTTP_IF_MATCH=stale)
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert f"now has version {present}" in answer.json()["detail"]
    assert Product.objects.get().title == "Theirs"


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_write_with_the_present_version_succeeds(method: str, product: Product, staff: APIClient) -> None:
    tag = staff.get(url_of(product, "?fields=id"))["ETag"]
    answer = getattr(staff, method)(url_of(product), {"sku": "A-1", "title": "Mine"}, HTTP_IF_MATCH=tag)
    assert answer.status_code in (200, 204), answer.json()
    assert not Product.objects.exclude(title="Mine").exists()


# A proxy that compresses may weaken the tag or write the coding into it, and Django pads gzip by random bytes.
@pytest.mark.parametrize(
    "form", ["{}", "*", '"x.y", {}', "{strong}", '{open}-gzip"', '{open}--gzip"', '{open};gzip"', "{strong},{}"]
)
def test_if_match_takes_every_form_of_the_header(form: str, product: Product, staff: APIClient) -> None:
    tag = staff.get(url_of(product), HTTP_ACCEPT_ENCODING="gzip")["ETag"]
    header = form.format(tag, strong=tag.removeprefix("W/"), open=tag[:-1])
    assert staff.patch(url_of(product), {"title": "Mine"}, HTTP_IF_MATCH=header).status_code == 200


def test_the_etag_is_the_same_behind_gzip(product: Product, client: APIClient) -> None:
    plain = client.get(url_of(product))
    zipped = client.get(url_of(product), HTTP_ACCEPT_ENCODING="gzip")
    assert gzip.decompress(zipped.content) == plain.content
    assert zipped["ETag"] == plain["ETag"]
    assert client.get(url_of(product), HTTP_ACCEPT_ENCODING="gzip", HTTP_IF_NONE_MATCH=plain["ETag"]).status_code == 304


@pytest.mark.once  # refused before any SQL
@pytest.mark.parametrize("header", ["7", "W/7", '"7', 'w/"7.ab"', '"a""b"', '"a" b', "*, *", '"a b"', "é"])
@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
def test_a_header_that_is_no_list_of_tags_is_refused(
    name: str, header: str, product: Product, staff: APIClient
) -> None:
    ask = staff.patch if name == "If-Match" else staff.get
    answer = ask(url_of(product), {"title": "Mine"} if name == "If-Match" else None, headers={name: header})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_header")
    assert name in answer.json()["detail"]
    assert Product.objects.get().title != "Mine"


@pytest.mark.once
@pytest.mark.parametrize("header", ["", " ", ","])
def test_a_condition_that_names_no_version_is_refused(header: str, product: Product, staff: APIClient) -> None:
    for answer in (
        staff.patch(url_of(product), {"title": "Mine"}, headers={"If-Match": header}),
        staff.delete(url_of(product), headers={"If-Match": header}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_header")
    assert Product.objects.get().title != "Mine"


@pytest.mark.parametrize("tag", ['"abc"', '"0.a"', '"99999999999999999999.a"', 'W/""', '"-1.a"', '"٣.a"'])
def test_a_tag_that_no_row_ever_had_is_412(tag: str, product: Product, staff: APIClient) -> None:
    answer = staff.patch(url_of(product), {"title": "Mine"}, headers={"If-Match": tag})
    assert answer.status_code == (400 if "٣" in tag else 412)
    assert staff.delete(url_of(product), headers={"If-Match": tag}).status_code == answer.status_code


def test_a_row_that_is_gone_is_404(product: Product, staff: APIClient) -> None:
    tag = staff.get(url_of(product))["ETag"]
    staff.delete(url_of(product))
    assert staff.patch(url_of(product), {"title": "Mine"}, HTTP_IF_MATCH=tag).status_code == 404


@pytest.mark.parametrize(
    "part",
    [
        {"variants": [{"sku": "A-1", "barcode": "9"}]},
        {"variants": [{"sku": "A-1-3", "price": "99"}]},
        {"images": [{"url": "https://images.example/last.jpg"}]},
        {"description": "Other."},
    ],
)
def test_a_change_of_a_variant_or_image_moves_the_products_version(part: dict[str, Any], staff: APIClient) -> None:
    product = make_product(sku="A-1", variants=2, images=2)
    stale = staff.get(url_of(product))["ETag"]
    assert staff.patch(url_of(product), part).status_code == 200
    assert staff.patch(url_of(product), part, HTTP_IF_MATCH=stale).status_code == 412


def test_a_write_that_changes_nothing_moves_no_version(staff: APIClient) -> None:
    product = make_product(sku="A-1", variants=2, images=2)
    variant = Variant.objects.get(sku="A-1")
    body = {"title": product.title, "variants": [{"id": variant.pk, "price": "10.00"}], "images": []}
    tag = staff.get(url_of(product))["ETag"]
    assert staff.patch(url_of(product), body, HTTP_IF_MATCH=tag)["ETag"] == tag


# -- many at once ------------------------------------------------------------------------------------------------

CLIENTS = 50
# 5,000 in all by `make test-faults`, which has the minutes.
RAISES = int(os.environ.get("RAISES", "2"))


def raise_number(url: str, user: User) -> int:
    """Read, add one, write upon what was read; again from the start where somebody was faster. The refusals."""
    client, refusals = APIClient(), 0
    client.force_authenticate(user)
    try:
        for _ in range(RAISES):
            for tried in count():
                answer = client.get(f"{url}?fields=attributes")
                number = answer.json()["attributes"]["number"] + 1
                body = {"attributes": {"number": number}}
                if client.patch(url, body, HTTP_IF_MATCH=answer["ETag"]).status_code == 200:
                    break
                refusals += 1
                # As a client should: of fifty that come back at once one gets through, and 49 come for nothing.
                time.sleep(random.random() * min(0.25 * 2**tried, 8))
        return refusals
    finally:
        connection.close()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_fifty_clients_raise_one_number_and_lose_nothing(admin_user: User) -> None:
    product = make_product(attributes={"number": 0})
    with ThreadPoolExecutor(CLIENTS) as pool:
        refusals = sum(pool.map(lambda _: raise_number(url_of(product), admin_user), range(CLIENTS)))
    product.refresh_from_db()
    assert product.attributes["number"] == CLIENTS * RAISES
    assert refusals > 0  # they did meet


# -- conditions that nobody would check ----------------------------------------------------------------------------

UNCHECKED = [
    ("post", "products/", {"sku": "N", "title": "N", "price": "1"}),
    ("post", "products/bulk/", {"mode": "update", "items": [{"sku": "A-1", "title": "New"}]}),
    ("patch", "stock/bulk/", [{"sku": "A-1", "on_hand": 77}]),
    ("patch", "prices/bulk/", [{"sku": "A-1", "price": "77"}]),
    ("post", "orders/", {"lines": [{"sku": "A-1", "quantity": 1}]}),
    ("post", "exports/", {"resource": "products", "format": "csv"}),
    ("post", "auth/tokens/", {"name": "N"}),
]
THEN = "Mon, 30 Nov 1998 00:00:00 GMT"


@pytest.mark.once  # refused before any SQL
@pytest.mark.parametrize("write", UNCHECKED)
@pytest.mark.parametrize(
    "header", [("If-Match", "*"), ("If-Match", '"zz"'), ("If-None-Match", "*"), ("If-Unmodified-Since", THEN)]
)
def test_a_write_with_a_condition_that_it_does_not_check_is_refused(
    header: tuple[str, str], write: tuple[str, str, Any], product: Product, staff: APIClient
) -> None:
    before = Product.objects.values_list("title", "price", "in_stock", "version").get()
    method, path, body = write
    answer = getattr(staff, method)(f"/api/v1/{path}", body, headers=dict([header]))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_header")
    assert answer.json()["detail"].startswith(f"{header[0]}: ")
    assert Product.objects.values_list("title", "price", "in_stock", "version").get() == before
    assert not Stock.objects.filter(on_hand=77).exists()


@pytest.mark.parametrize("header", [("If-None-Match", "*"), ("If-Unmodified-Since", THEN)])
@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_no_write_of_a_row_takes_if_none_match_or_a_time(
    method: str, header: tuple[str, str], product: Product, staff: APIClient
) -> None:
    body = {"sku": "A-1", "title": "New"}
    answer = getattr(staff, method)(url_of(product), body, headers=dict([header]))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_header")
    assert Product.objects.get().title == product.title


def test_a_time_beside_if_match_does_not_count(product: Product, staff: APIClient) -> None:
    headers = {"If-Match": staff.get(url_of(product))["ETag"], "If-Unmodified-Since": THEN}
    assert staff.patch(url_of(product), {"title": "New"}, headers=headers).status_code == 200


def test_a_write_of_a_row_without_version_refuses_if_match() -> None:
    with pytest.raises(InvalidHeader):
        claim_version(Tally(pk=1), {1})


@pytest.mark.parametrize("header", ["HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"])
@pytest.mark.parametrize("path", ["/api/v1/variants/", "/api/v1/schema/"])
def test_a_method_that_is_not_there_is_a_405_whatever_its_condition(header: str, path: str, staff: APIClient) -> None:
    for method in ("POST", "DELETE", "TRACE"):
        assert staff.generic(method, path, **{header: ""}).status_code == 405, method


@pytest.mark.parametrize(("seconds", "public"), [(0, "public, no-cache"), (30, "s-maxage=30")])
def test_shared_caches_keep_strangers_answers_as_long_as_they_may(
    seconds: int, public: str, client: APIClient, staff: APIClient, settings: Any
) -> None:
    settings.CACHE_S_MAXAGE = seconds
    product = make_product()
    for path in ("/api/v1/products/", f"/api/v1/products/{product.pk}/", "/api/v1/brands/"):
        assert public in client.get(path)["Cache-Control"]
        assert staff.get(path)["Cache-Control"] == "private, no-cache"
