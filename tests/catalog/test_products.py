"""`GET /api/v1/products/` and what one product looks like."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Attribute, Product
from catalog.writes import slugs
from config.api.reads.parameters import EMPTY_VALUE
from tests.factories import make_brand, make_category, make_product
from tests.together import run_together

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"


def test_a_list_shows_slugs_and_addresses(client: APIClient) -> None:
    product = make_product(
        sku="A-1", title="Tea", brand=make_brand("Acme"), category=make_category("Food", "Tea"), price="9.50"
    )
    answer = client.get(URL)
    row = answer.json()["results"][0]
    moment = row["created_at"]
    assert moment.endswith("Z")
    assert row == {
        "id": product.pk,
        "sku": "A-1",
        "slug": product.slug,
        "title": "Tea",
        "brand": "acme",
        "category": "food-tea",
        "status": "active",
        "currency": "USD",
        "price": "9.50",
        "compare_at_price": None,
        "lowest_price_30_days": None,
        "in_stock": True,
        "rating": None,
        "image_url": product.image_url,
        "attributes": {},
        "images_url": f"http://testserver/api/v1/products/{product.pk}/images/",
        "variants_url": f"http://testserver/api/v1/products/{product.pk}/variants/",
        "version": product.version,
        "created_at": moment,
        "updated_at": row["updated_at"],
        "url": f"http://testserver/api/v1/products/{product.pk}/",
    }
    assert list(answer.json()) == ["results", "next", "previous", "next_cursor"]
    assert answer["Content-Type"] == "application/json"


def test_expanded_relations_are_objects_and_lists(client: APIClient) -> None:
    product = make_product(brand=make_brand("Acme"), category=make_category("Food", "Tea"), images=2, variants=2)
    row = client.get(URL, {"expand": "brand,category,images,variants.stock"}).json()["results"][0]
    assert row["brand"]["slug"] == "acme"
    assert row["category"]["parent"] == "food"
    assert [image["position"] for image in row["images"]] == [1, 2]
    assert row["images_url"].endswith(f"{product.pk}/images/")
    assert [variant["sku"] for variant in row["variants"]] == [product.sku, f"{product.sku}-2"]
    assert row["variants"][0]["stock"] == [
        {"location": "main", "on_hand": 1, "reserved": 0, "reason": "", "version": 1}
    ]


def test_a_nested_list_ends_at_twenty_and_its_address_has_the_rest(client: APIClient) -> None:
    product = make_product(images=23)
    row = client.get(f"{URL}{product.pk}/", {"expand": "images"}).json()
    assert len(row["images"]) == 20
    assert len(client.get(row["images_url"]).json()["results"]) == 23


def test_a_detail_has_the_texts_and_a_list_only_on_request(client: APIClient) -> None:
    product = make_product(description="Green.")
    assert client.get(f"{URL}{product.pk}/").json()["description"] == "Green."
    assert "description" not in client.get(URL).json()["results"][0]
    assert client.get(URL, {"fields": "id,description"}).json()["results"] == [
        {"id": product.pk, "description": "Green."}
    ]


def test_fields_and_omit_choose_what_is_shown(client: APIClient) -> None:
    product = make_product()
    row = client.get(f"{URL}{product.pk}/", {"fields": "title,id"}).json()
    assert list(row) == ["id", "title"]
    assert "attributes" not in client.get(f"{URL}{product.pk}/", {"omit": "attributes"}).json()


def test_what_nobody_asked_for_is_not_in_the_sql(
    client: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_product(brand=make_brand())
    with django_assert_num_queries(1) as captured:
        client.get(URL, {"fields": "id,title"})
    sql = captured.captured_queries[0]["sql"]
    assert '"price"' not in sql
    assert "catalog_brand" not in sql
    assert "catalog_producttext" not in sql


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 10, 50])
def test_an_expanded_page_costs_one_query(
    size: int, client: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(size):
        make_product(brand=make_brand(), category=make_category("Food", f"Kind {number}"), images=3, variants=2)
    # 1. the page; brand, category with its parent, images, variants and their stock come in the same statement
    with django_assert_num_queries(1):
        answer = client.get(URL, {"expand": "brand,category,images,variants.stock"})
    assert len(answer.json()["results"]) == size


def test_drafts_are_a_404_for_strangers_and_seen_by_staff(client: APIClient, staff: APIClient) -> None:
    product = make_product(status="draft", images=1)
    for path in ("", "variants/", "images/"):
        assert client.get(f"{URL}{product.pk}/{path}").status_code == 404
        assert staff.get(f"{URL}{product.pk}/{path}").status_code == 200
    assert client.get(f"/api/v1/variants/{product.sku}/").status_code == 404
    assert client.get(URL).json()["results"] == []
    assert len(staff.get(URL).json()["results"]) == 1


def test_a_variant_is_found_by_its_sku_with_any_sign_in_it(client: APIClient) -> None:
    for sku in ("A.12 é+x", "A/12", "\U0001f600/\u202e"):
        make_product(sku=sku)
        assert client.get(f"/api/v1/variants/{quote(sku, safe='')}/").json()["sku"] == sku
    assert client.get("/api/v1/variants/A.13/").status_code == 404


def test_the_slash_at_the_end_may_be_left_out(client: APIClient) -> None:
    product = make_product()
    for path in ("products", f"products/{product.pk}", f"products/{product.pk}/images", f"variants/{product.sku}"):
        assert client.get(f"/api/v1/{path}").status_code == 200
    assert client.get("/api/v1/products?page_size=1").json()["next"] is None


FILTERS: list[tuple[dict[str, str], set[str]]] = [
    ({"brand": "acme"}, {"tea"}),
    ({"category": "food"}, {"tea", "bread"}),
    ({"category": "food-tea"}, {"tea"}),
    ({"price_min": "5.00"}, {"bread", "chair"}),
    ({"price_min": "5.01", "price_max": "100"}, {"chair"}),
    ({"in_stock": "true"}, {"tea", "chair"}),
    ({"in_stock": "false"}, {"bread"}),
    ({"sku": "tea,chair,nothing"}, {"tea", "chair"}),
    ({"search": "ched"}, {"tea"}),
    ({"search": "CHAIR"}, {"chair"}),
    ({"attr.color": "green"}, {"tea"}),
    ({"attr.size": "40"}, {"chair"}),
    ({"attr.size": "40.0"}, {"chair"}),
    ({"attr.organic": "true"}, {"bread"}),
    ({"attr.organic": "true", "attr.color": "green"}, set()),
    ({"created_after": "2000-01-01T00:00:00Z", "updated_since": "2000-01-01"}, {"tea", "bread", "chair"}),
    ({"created_before": "2000-01-01T00:00:00Z"}, set()),
    ({"status": "draft"}, set()),
]


@pytest.mark.parametrize(("query", "found"), FILTERS)
def test_filters_narrow_the_list(query: dict[str, str], found: set[str], client: APIClient) -> None:
    for name, type_ in (("color", "text"), ("size", "number"), ("organic", "boolean")):
        Attribute.objects.create(name=name, type=type_)
    make_product(
        sku="tea", title="Ched Tea", brand=make_brand("Acme"), category=make_category("Food", "Tea"), price="4.99",
        attributes={"color": "green"},
    )  # fmt: skip
    make_product(
        sku="bread", title="Bread", category=make_category("Food", "Bread"), price="5", stock=0,
        attributes={"organic": True},
    )  # fmt: skip
    make_product(sku="chair", title="Chair", category=make_category("Home"), price="80", attributes={"size": 40})
    assert {row["sku"] for row in client.get(URL, query).json()["results"]} == found


def test_ids_are_a_filter(client: APIClient) -> None:
    first, _, third = (make_product() for _ in range(3))
    answer = client.get(URL, {"id": f"{first.pk},{third.pk:030},99999999999999999999"})
    assert [row["id"] for row in answer.json()["results"]] == [third.pk, first.pk]


@pytest.mark.parametrize("text", ["1,,2", "1,", ",1", "1, ,2"])
def test_a_blank_item_of_a_list_is_an_error(text: str, client: APIClient) -> None:
    answer = client.get(URL, {"id": text})
    assert (answer.status_code, answer.json()["detail"]) == (400, f"id: {EMPTY_VALUE}")


@pytest.mark.parametrize("text", ["1e2", "1_0", "\u0661", "+1", "-1", "1.0", "abc"])
def test_an_id_is_digits(text: str, client: APIClient) -> None:
    answer = client.get(URL, {"id": f"1,{text}"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "?id")
    assert text in answer.json()["detail"]


def test_search_is_by_rank_and_by_page(client: APIClient) -> None:
    second = make_product(title="Chair", description="A lamp stands beside it.")
    first = make_product(title="Lamp")
    answer = client.get(URL, {"search": "lamp"}).json()
    assert [row["id"] for row in answer["results"]] == [first.pk, second.pk]
    assert (answer["page"], answer["count"], answer["next_cursor"]) == (1, 2, None)
    ordered = client.get(URL, {"search": "lamp", "ordering": "created_at"}).json()
    assert [row["id"] for row in ordered["results"]] == [second.pk, first.pk]


def walk_pages(client: APIClient, url: str | None) -> Iterator[dict[str, Any]]:
    while url:
        page = client.get(url).json()
        yield from page["results"]
        url = page["next"]


@pytest.mark.parametrize("name", ["created_at", "updated_at", "price", "title", "rating", "id"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_each_ordering_is_walked_in_order(name: str, sign: str, client: APIClient) -> None:
    for number in range(7):
        make_product(price=str(number % 3 + 1), title=f"T{number % 2}", rating=number % 4)
    rows = list(walk_pages(client, f"{URL}?ordering={sign}{name}&page_size=2"))
    products = list(Product.objects.order_by(f"{sign}{name}", f"{sign}pk"))
    assert [row["id"] for row in rows] == [product.pk for product in products]


# -- lists of values, and windows of time --------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["{name}={0}&{name}={1}", "{name}={0},{1}", "{name}={0}&{name}= {1} "])
def test_a_repeated_name_is_a_list(spelling: str, client: APIClient) -> None:
    """Generated clients send lists so."""
    first, second, _ = make_product(sku="A"), make_product(sku="B"), make_product(sku="C")
    for name, values in (("id", (first.pk, second.pk)), ("sku", ("A", "B"))):
        rows = client.get(f"{URL}?{spelling.format(*values, name=name)}").json()["results"]
        assert {row["sku"] for row in rows} == {"A", "B"}, name
    for name, values in (("fields", ("sku", "title")), ("omit", ("sku", "title"))):
        [row, *_] = client.get(f"{URL}?{spelling.format(*values, name=name)}").json()["results"]
        assert (row.keys() == {"sku", "title"}) if name == "fields" else not row.keys() & {"sku", "title"}
    [row, *_] = client.get(f"{URL}?{spelling.format('images', 'variants', name='expand')}").json()["results"]
    assert row.keys() >= {"images", "variants"}


def test_repeated_names_keep_their_values_from_page_to_page(client: APIClient) -> None:
    skus = ["A", "B", "C"]
    for sku in skus:
        make_product(sku=sku)
    page = client.get(f"{URL}?sku=A&sku=B&fields=sku&fields=id&page_size=1&ordering=created_at").json()
    following = client.get(page["next"]).json()
    assert [row["sku"] for row in page["results"] + following["results"]] == ["A", "B"]
    assert (set(following["results"][0]), following["next"]) == ({"id", "sku"}, None)


def test_a_day_ends_where_the_next_one_begins(client: APIClient) -> None:
    """`after` includes, `before` doesn't: a row of midnight is in one day."""
    make_product(sku="A", created_at=datetime(2026, 3, 10, tzinfo=UTC))
    days = [("2026-03-09", "2026-03-10"), ("2026-03-10", "2026-03-11")]
    found = [
        [row["sku"] for row in client.get(URL, {"created_after": start, "created_before": end}).json()["results"]]
        for start, end in days
    ]
    assert found == [[], ["A"]]


@pytest.mark.parametrize("price", ["10", "10.0", "10.00000"])
def test_a_price_is_a_decimal_in_any_spelling(price: str, client: APIClient) -> None:
    make_product(price="10.00")
    make_product(price="9.99")
    assert len(client.get(URL, {"price_min": price}).json()["results"]) == 1


@pytest.mark.parametrize("text", ["1_0", "\u0661", "1e999", "NaN", "--1"])
def test_an_attribute_s_number_is_written_in_digits(text: str, client: APIClient) -> None:
    Attribute.objects.create(name="size", type="number")
    answer = client.get(URL, {"attr.size": text})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


# -- the same title at the same moment -----------------------------------------------------------------------------


def test_a_slug_that_another_writer_took_meanwhile_is_made_anew(
    staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look before the other's commit sees nothing; the second attempt sees its slug."""
    looks = []

    def look(wanted: Any, real: Any = slugs.find_taken) -> Any:
        looks.append(wanted)
        return real(wanted) if len(looks) > 1 else set()

    make_product(slug="green-tea")
    monkeypatch.setattr(slugs, "find_taken", look)
    answer = staff.post(URL, {"sku": "T-1", "title": "Green Tea", "price": "1"})
    assert (answer.status_code, answer.json()["slug"]) == (201, "green-tea-t-1")


@pytest.mark.django_db(transaction=True)
def test_parallel_products_of_one_title_each_get_a_slug() -> None:
    root = User.objects.create_superuser("root@example.com", "root")

    def post(number: int) -> Any:
        caller = APIClient()
        caller.force_authenticate(root)
        return caller.post(URL, {"sku": f"T-{number}", "title": "Green Tea", "price": "1"})

    answers = run_together([partial(post, number) for number in range(8)])
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.json()["slug"] for answer in answers}) == 8
