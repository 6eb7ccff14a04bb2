"""products/bulk/, stock/bulk/ and prices/bulk/: a result for each row, in as many queries for a thousand as for ten."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import User
from catalog.changes.log import number_changes
from catalog.changes.models import Change
from catalog.models import Image, Location, Product, Stock, Variant
from catalog.writes import saving
from tests.catalog.changes.test_log import read_log
from tests.factories import make_brand, make_category, make_product, make_user

pytestmark = pytest.mark.django_db

PRODUCTS, STOCK, PRICES = (f"/api/v1/{name}/bulk/" for name in ("products", "stock", "prices"))


def make_body(mode: str, *items: Any, **options: Any) -> dict[str, Any]:
    return {"mode": mode, "items": list(items)} | options


def tea(number: int, **members: Any) -> dict[str, Any]:
    return {"sku": f"TEA-{number}", "title": f"Tea {number}", "price": "4.00"} | members


def whole(number: int, price: str = "3.00") -> dict[str, Any]:
    """A product with everything in it."""
    variants = [
        {"sku": f"TEA-{number}-{size}", "price": price, "on_hand": 7, "options": {"Size": size}} for size in ("S", "L")
    ]
    images = [{"url": f"https://images.example/{number}-{price}.jpg", "alt": "Front"}]
    links = {"brand": "acme", "category": "food-tea", "description": f"Good at {price}.", "attributes": {"n": number}}
    return {"sku": f"TEA-{number}", "title": f"Tea {number}", "variants": variants, "images": images} | links


def list_statuses(answer: Any) -> list[str]:
    return [result["status"] for result in answer.json()["results"]]


def list_faults(rows: Any) -> list[tuple[str, str]]:
    return [(fault["pointer"], fault["code"]) for fault in rows]


def count_everything() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Product, Variant, Stock, Image))


# -- products: what happens --------------------------------------------------------------------------------------


def test_a_body_is_created_whole_and_answered_row_by_row(staff: APIClient) -> None:
    make_brand("Acme")
    make_category("Food", "Tea")
    answer = staff.post(PRODUCTS, make_body("create", whole(1), tea(2)))
    assert answer.status_code == 200, answer.json()
    one, two = Product.objects.order_by("pk")
    assert answer.json() == {
        "dry_run": False, "created": 2, "updated": 0, "unchanged": 0, "deleted": 0, "failed": 0,
        "results": [
            {"index": 0, "status": "created", "id": one.pk, "sku": "TEA-1", "errors": []},
            {"index": 1, "status": "created", "id": two.pk, "sku": "TEA-2", "errors": []},
        ],
    }  # fmt: skip
    row = staff.get(f"/api/v1/products/{one.pk}/?expand=variants.stock,images").json()
    assert (row["brand"], row["category"], row["price"], row["in_stock"]) == ("acme", "food-tea", "3.00", True)
    assert [variant["stock"][0]["on_hand"] for variant in row["variants"]] == [7, 7]
    assert (row["image_url"], row["description"]) == ("https://images.example/1-3.00.jpg", "Good at 3.00.")
    assert (row["version"], one.slug, two.slug) == (1, "tea-1", "tea-2")


def test_upsert_creates_changes_and_leaves_alone(staff: APIClient) -> None:
    staff.post(PRODUCTS, make_body("create", tea(1), tea(2), tea(3)))
    versions = dict(Product.objects.values_list("sku", "version"))
    body = make_body("upsert", tea(1), tea(2, price="5.00"), {"sku": "TEA-3", "status": "draft"}, tea(4))
    assert list_statuses(staff.post(PRODUCTS, body)) == ["unchanged", "updated", "updated", "created"]
    rows = {row.sku: row for row in Product.objects.all()}
    assert [rows[f"TEA-{n}"].version > versions[f"TEA-{n}"] for n in (1, 2, 3)] == [False, True, True]
    assert (rows["TEA-2"].price, rows["TEA-3"].status, rows["TEA-3"].title) == (Decimal("5.00"), "draft", "Tea 3")
    assert list_statuses(staff.post(PRODUCTS, body)) == ["unchanged"] * 4


def test_new_rows_are_inserted_in_the_order_of_their_skus(staff: APIClient) -> None:
    """Two bodies with the same new SKUs would else each wait for what the other has inserted already."""
    items = [tea(3), tea(1), tea(2, variants=[{"sku": "Z", "price": "1"}, {"sku": "A", "price": "1"}])]
    results = staff.post(PRODUCTS, make_body("create", *items)).json()["results"]
    assert [result["sku"] for result in results] == ["TEA-3", "TEA-1", "TEA-2"]
    assert list(Product.objects.order_by("pk").values_list("sku", flat=True)) == ["TEA-1", "TEA-2", "TEA-3"]
    assert list(Variant.objects.order_by("pk").values_list("sku", flat=True)) == ["A", "TEA-1", "TEA-3", "Z"]


def test_an_item_is_found_by_id_and_may_get_another_sku(staff: APIClient) -> None:
    product = make_product(sku="OLD")
    body = make_body("update", {"id": product.pk, "sku": "NEW", "rating": "4.5", "compare_at_price": "20"})
    assert staff.post(PRODUCTS, body).json()["results"][0] == {
        "index": 0, "status": "updated", "id": product.pk, "sku": "NEW", "errors": [],
    }  # fmt: skip
    assert Product.objects.get().rating == Decimal("4.50")


def test_nested_lists_delete_nothing(staff: APIClient) -> None:
    product = make_product(sku="A", variants=2, images=2)
    part = {"sku": "A", "variants": [{"sku": "A-2", "price": "1.00"}, {"sku": "A-3", "price": "2.00"}], "images": []}
    staff.post(PRODUCTS, make_body("upsert", part))
    product.refresh_from_db()
    assert product.price == Decimal("1.00")
    assert count_everything() == (1, 3, 2, 2)


def test_titles_that_are_the_same_get_slugs_of_their_own(staff: APIClient) -> None:
    make_product(slug="tea")
    staff.post(PRODUCTS, make_body("create", tea(1, title="Tea"), tea(2, title="Tea"), tea(3, title="!")))
    slugs = Product.objects.order_by("pk").values_list("slug", flat=True)[1:]
    assert (len(set(slugs)), slugs[0], slugs[1]) == (3, "tea-tea-1", "tea-tea-2")


# -- products: what is refused -----------------------------------------------------------------------------------

BAD_ROWS: list[tuple[str, Any, list[tuple[str, str]]]] = [
    ("create", {"sku": "HERE", "title": "T", "price": "1"}, [("/sku", "taken")]),
    ("create", {"id": 5, "sku": "X", "title": "T", "price": "1"}, [("/id", "unexpected")]),
    ("create", {"title": "T", "price": "1"}, [("/sku", "required")]),
    ("create", {"sku": "X"}, [("/title", "required"), ("/price", "required")]),
    ("create", tea(1, slug="here"), [("/slug", "taken")]),
    ("create", tea(1, brand="nobody"), [("/brand", "does_not_exist")]),
    ("create", tea(1, variants=[{"sku": "HERE", "price": "1"}]), [("/variants/0/sku", "taken")]),
    ("create", tea(1, variants=[{"sku": "V"}]), [("/variants/0/price", "required")]),
    ("create", tea(1, variants=[{"sku": "V", "price": "1", "prise": 2}]), [("/variants/0/prise", "unknown_member")]),
    ("create", tea(1, images=[{"url": "javascript:alert(1)"}]), [("/images/0/url", "invalid")]),
    ("create", tea(1, version=3, in_stock=True), [("/version", "unknown_member"), ("/in_stock", "unknown_member")]),
    ("create", tea(1, price="-1"), [("/price", "min_value")]),
    ("update", {"sku": "X", "title": "T"}, [("/sku", "not_found")]),
    ("update", {"id": 10**17, "title": "T"}, [("/id", "not_found")]),
    ("update", {"title": "T"}, [("/sku", "required")]),
    ("update", {"sku": "HERE", "variants": [{"id": 10**17}]}, [("/variants/0/id", "not_found")]),
    ("update", {"sku": "HERE", "variants": [{"sku": "HERE", "on_hand": 0}]}, [("/variants/0/on_hand", "reserved")]),
    ("upsert", {"id": 10**17, "sku": "X", "title": "T", "price": "1"}, [("/id", "not_found")]),
    ("upsert", {"sku": "HERE", "price": None}, [("/price", "null")]),
    ("upsert", [], [("", "invalid")]),
    ("upsert", None, [("", "null")]),
    ("upsert", "HERE", [("", "invalid")]),
]


@pytest.mark.parametrize(("mode", "bad", "faults"), BAD_ROWS)
def test_a_bad_row_refuses_all_or_is_skipped(
    mode: str, bad: Any, faults: list[tuple[str, str]], staff: APIClient
) -> None:
    make_product(sku="HERE", slug="here")
    make_product(sku="GOOD")
    Stock.objects.update(reserved=1)
    good = tea(9) if mode == "create" else {"sku": "GOOD", "title": "Better"}
    expected = [(f"/items/1{pointer}", code) for pointer, code in faults]
    before = count_everything()

    refused = staff.post(PRODUCTS, make_body(mode, good, bad))
    clashes = {code for _, code in faults} <= {"taken", "reserved"}
    assert refused.status_code == (409 if clashes else 400)
    assert list_faults(refused.json()["errors"]) == expected
    assert "skip" in refused.json()["hint"]
    assert count_everything() == before
    assert not Product.objects.filter(title="Better").exists()

    answer = staff.post(PRODUCTS, make_body(mode, good, bad, on_error="skip"))
    assert list_statuses(answer) == ["created" if mode == "create" else "updated", "failed"]
    assert answer.json()["failed"] == 1
    assert list_faults(answer.json()["results"][1]["errors"]) == expected
    assert Product.objects.count() == (3 if mode == "create" else 2)


def test_what_stands_twice_in_a_body_is_refused_by_name(staff: APIClient) -> None:
    product = make_product(sku="HERE")
    body = make_body(
        "upsert", tea(1), tea(1), {"id": product.pk, "title": "T"}, {"sku": "HERE", "title": "T"},
        tea(2, variants=[{"sku": "V", "price": "1"}]), tea(3, variants=[{"sku": "V", "price": "1"}]),
        tea(4, slug="s"), tea(5, slug="s"),
        tea(6, images=[{"url": "https://i.example/1"}] * 2), on_error="skip",
    )  # fmt: skip
    answer = staff.post(PRODUCTS, body).json()
    errors = [fault for result in answer["results"] for fault in result["errors"]]
    assert list_faults(errors) == [
        (f"/items/{place}", "repeated") for place in ("1/sku", "3/sku", "5/variants/0/sku", "7/slug", "8/images/1/url")
    ]
    assert "'TEA-1' is already at /items/0/sku; keep one of the two" in errors[0]["detail"]
    assert "'HERE' is already at /items/2/id" in errors[1]["detail"]
    assert (answer["created"], answer["updated"], answer["failed"]) == (3, 1, 5)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/mode", "/items"]),
        ({"mode": "replace", "items": [tea(1)]}, ["/mode"]),
        ({"mode": "create", "items": []}, ["/items"]),
        ({"mode": "create", "items": {}}, ["/items"]),
        ({"mode": "create", "items": None}, ["/items"]),
        ({"mode": "create", "items": [tea(1)], "on_error": "abort"}, ["/on_error"]),
        ({"mode": "create", "items": [tea(1)], "dry_run": "perhaps"}, ["/dry_run"]),
        ({"mode": "create", "items": [tea(1)], "onerror": "skip"}, ["/onerror"]),
        ([tea(1)], [""]),
    ],
)
def test_a_body_that_is_no_bulk_is_refused(body: Any, pointers: list[str], staff: APIClient) -> None:
    answer = staff.post(PRODUCTS, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == pointers
    assert not Product.objects.exists()


def test_a_thousand_and_one_rows_are_too_many(staff: APIClient) -> None:
    rows = [{"sku": f"X-{number}", "price": "1", "on_hand": 1} for number in range(1001)]
    for answer in (
        staff.post(PRODUCTS, make_body("update", *({"sku": row["sku"]} for row in rows))),
        staff.patch(PRICES, [{"sku": row["sku"], "price": "1"} for row in rows]),
        staff.patch(STOCK, [{"sku": row["sku"], "on_hand": 1} for row in rows]),
    ):
        assert answer.status_code == 400
        assert "1000" in answer.json()["detail"]
        assert answer.json()["errors"][0]["code"] == "max_length"


def test_a_dry_run_says_what_would_happen_and_writes_nothing(staff: APIClient) -> None:
    kept = make_product(sku="HERE")
    body = make_body(
        "upsert", tea(1), {"sku": "HERE", "title": "New"}, {"sku": "HERE-2"}, on_error="skip", dry_run=True
    )
    answer = staff.post(PRODUCTS, body).json()
    assert answer["dry_run"] is True
    assert [(row["status"], row["id"]) for row in answer["results"]] == [
        ("created", None), ("updated", kept.pk), ("failed", None),
    ]  # fmt: skip
    assert list(Product.objects.values_list("title", "version")) == [(kept.title, kept.version)]
    assert staff.post(PRODUCTS, body | {"on_error": "reject_all"}).status_code == 400


# -- products: who, and beside whom ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rights", "allowed"),
    [
        ((), ()),
        (("add",), ("create",)),
        (("change",), ("update",)),
        (("add", "change"), ("create", "update", "upsert")),
    ],
)
def test_each_mode_needs_its_rights(rights: tuple[str, ...], allowed: tuple[str, ...], client: APIClient) -> None:
    make_product(sku="HERE")
    assert client.post(PRODUCTS, make_body("update", {"sku": "HERE"})).status_code == 401
    user = User.objects.create_user("a@example.com", "a", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[f"{right}_product" for right in rights]))
    client.force_authenticate(User.objects.get())
    for mode in ("create", "update", "upsert"):
        answer = client.post(PRODUCTS, make_body(mode, tea(1) if mode == "create" else {"sku": "HERE"}))
        assert answer.status_code == (200 if mode in allowed else 403), (mode, answer.json())
        assert mode in allowed or "It needs catalog." in answer.json()["detail"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_a_rival_at_the_same_moment_costs_a_second_attempt(staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rival's row is there only when ours is written: the first attempt fails, the second finds it."""
    collect = saving.collect_products
    monkeypatch.setattr(saving, "collect_products", lambda *given: (write_as_a_rival(), collect(*given))[1])

    def write_as_a_rival() -> None:
        monkeypatch.setattr(saving, "collect_products", collect)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(make_rival).result()

    answer = staff.post(PRODUCTS, make_body("upsert", tea(1, title="Ours")))
    assert list_statuses(answer) == ["updated"]
    assert Product.objects.get().title == "Ours"


def make_rival() -> None:
    make_product(sku="TEA-1", title="Theirs")
    connection.close()


def test_the_change_log_names_who_sent_it(staff: APIClient, admin_user: User) -> None:
    make_product(sku="A")
    with read_log() as log:
        staff.post(PRODUCTS, make_body("upsert", tea(1), {"sku": "A", "title": "T", "description": "D"}))
        staff.patch(STOCK, [{"sku": "A", "on_hand": 9}])
        staff.patch(PRICES, [{"sku": "A", "price": "9"}])
    assert {change.actor for change in log} == {f"user:{admin_user.pk}"}
    assert {change.entity for change in log} == {"product", "text", "variant", "stock"}


# -- how many queries --------------------------------------------------------------------------------------------


def list_queries(send: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        answer = send()
    assert answer.status_code == 200, answer.json()
    assert answer.json()["failed"] == 0
    return [query["sql"] for query in queries]


@pytest.fixture
def shop(db: None) -> None:
    make_brand("Acme")
    make_category("Food", "Tea")


@pytest.mark.slow
@pytest.mark.usefixtures("shop")
def test_a_thousand_products_take_as_many_queries_as_ten(staff: APIClient) -> None:
    def upsert(first: int, number: int, price: str) -> list[str]:
        items = [whole(n, price) for n in range(first, first + number)]
        return list_queries(lambda: staff.post(PRODUCTS, make_body("upsert", *items)))

    # 1, 2 savepoint and its release  3. products, locked  4, 5. brand, category  6. variants  7. attributes  8. slugs
    # 9. keys of products  10 - 14. image, product, text, variant, stock; on SQLite also the keys of variants
    created = upsert(0, 10, "3.00")
    assert len(created) == 14 + (connection.vendor == "sqlite"), created
    assert len(upsert(1000, 1000, "3.00")) == len(created)
    # 1 - 6. the same  7 - 10. stock, texts, images, attributes  11 - 13. text, variant, image
    # 14. versions, which triggers have moved: with the text or the price
    changed = upsert(0, 10, "4.00")
    assert len(changed) == 14, changed
    assert len(upsert(1000, 1000, "4.00")) == len(changed)
    # 1 - 10. the same, and nothing is written
    unchanged = upsert(0, 10, "4.00")
    assert len(unchanged) == 10, unchanged
    assert len(upsert(1000, 1000, "4.00")) == len(unchanged)


@pytest.mark.slow
def test_a_thousand_levels_take_as_many_queries_as_ten(staff: APIClient) -> None:
    skus = [f"X-{number}" for number in range(1010)]
    for start in (0, 1000):
        staff.post(PRODUCTS, make_body("create", *(tea(0, sku=sku) for sku in skus[start : start + 1000])))

    def stock(some: list[str], on_hand: int) -> list[str]:
        return list_queries(lambda: staff.patch(STOCK, [{"sku": sku, "on_hand": on_hand} for sku in some]))

    def price(some: list[str], value: str) -> list[str]:
        return list_queries(lambda: staff.patch(PRICES, [{"sku": sku, "price": value} for sku in some]))

    few, many = skus[1000:], skus[:1000]
    # 1, 2 savepoint and its release  3. products, locked  4. variants  5. stock, locked  6. what is written
    # 7. the versions
    assert [len(stock(some, n)) for some in (few, many) for n in (1, 2)] == [7, 7, 7, 7]
    # 1, 2 savepoint and its release  3. products, locked  4. variants  5. what is written  6. the versions
    assert [len(price(some, value)) for some in (few, many) for value in ("7", "8")] == [6, 6, 6, 6]


# -- stock and prices --------------------------------------------------------------------------------------------


def test_stock_is_set_where_it_lies(staff: APIClient) -> None:
    product = make_product(sku="A", stock=0)
    Location.objects.create(code="north")
    rows = [{"sku": "A", "on_hand": 5}, {"sku": "A", "location": "north", "on_hand": 2}]
    answer = staff.patch(STOCK, rows).json()
    assert answer["results"] == [
        {"index": 0, "status": "updated", "sku": "A", "location": "main", "on_hand": 5, "version": 2, "errors": []},
        {"index": 1, "status": "created", "sku": "A", "location": "north", "on_hand": 2, "version": 1, "errors": []},
    ]
    assert dict(Stock.objects.values_list("location", "on_hand")) == {"main": 5, "north": 2}
    product.refresh_from_db()
    assert product.in_stock
    assert list_statuses(staff.patch(STOCK, rows)) == ["unchanged", "unchanged"]


def test_stock_stays_at_or_above_what_is_reserved(staff: APIClient) -> None:
    make_product(sku="A", stock=5)
    Stock.objects.update(reserved=3)
    assert staff.patch(STOCK, [{"sku": "A", "on_hand": 3}]).status_code == 200
    answer = staff.patch(STOCK, [{"sku": "A", "on_hand": 2}])
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "reserved")
    assert "2 is below the 3 reserved pieces" in answer.json()["detail"]


def test_a_price_moves_its_product_along(staff: APIClient) -> None:
    product = make_product(sku="A", price="10.00", variants=2)
    answer = staff.patch(PRICES, [{"sku": "A", "price": "9.50"}, {"sku": "A-2", "price": "10.00"}])
    assert list_statuses(answer) == ["updated", "unchanged"]
    version, (product.version, product.price) = product.version, Product.objects.values_list("version", "price").get()
    assert (product.price, product.version) == (Decimal("9.50"), version + 1)
    # A dearer variant leaves the product's own price as it is; its version moves all the same, and once.
    staff.patch(PRICES, [{"sku": "A-2", "price": "99"}])
    assert Product.objects.get().version == version + 2
    staff.patch(PRICES, [{"sku": "A-2", "price": "99"}])
    assert Product.objects.get().version == version + 2


@pytest.mark.parametrize("url", [STOCK, PRICES])
def test_bad_levels_refuse_all_or_are_skipped(url: str, staff: APIClient) -> None:
    make_product(sku="A")
    make_product(sku="B")
    level = {"on_hand": 9} if url == STOCK else {"price": "9.00"}
    name = next(iter(level))
    rows: list[Any] = [
        {"sku": "A"} | level, {"sku": "NONE"} | level, {"sku": "A"} | level, {"sku": "B", name: -1}, {"sku": "B"}, 7,
        {"sku": "B", "reserved": 1} | level,
    ]  # fmt: skip
    expected = [
        ("/1/sku", "not_found"), ("/2/sku", "repeated"), (f"/3/{name}", "min_value"), (f"/4/{name}", "required"),
        ("/5", "invalid"), ("/6/reserved", "unknown_member"),
    ]  # fmt: skip
    refused = staff.patch(url, rows)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_body")
    assert list_faults(refused.json()["errors"]) == expected
    assert not Stock.objects.filter(on_hand=9).exists()
    assert not Variant.objects.filter(price=9).exists()
    assert staff.patch(f"{url}?on_error=skip&dry_run=true", rows).json()["updated"] == 1
    assert not Variant.objects.filter(price=9).exists()
    answer = staff.patch(f"{url}?on_error=skip", rows).json()
    assert (answer["updated"], answer["failed"]) == (1, 6)
    assert list_faults(fault for result in answer["results"] for fault in result["errors"]) == expected
    assert Stock.objects.filter(on_hand=9).count() + Variant.objects.filter(price=9).count() == 1


@pytest.mark.parametrize(("url", "model"), [(STOCK, "stock"), (PRICES, "variant")])
def test_only_who_may_change_them_sets_levels(url: str, model: str, client: APIClient) -> None:
    make_product(sku="A")
    body = [{"sku": "A"} | ({"on_hand": 2} if url == STOCK else {"price": "2"})]
    assert client.patch(url, body).status_code == 401
    user = User.objects.create_user("a@example.com", "a", is_staff=True)
    client.force_authenticate(user)
    assert client.patch(url, body).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename=f"change_{model}"))
    client.force_authenticate(User.objects.get())
    assert client.patch(url, body).status_code == 200


@pytest.mark.parametrize("body", [{}, [], None, "A", 7])
@pytest.mark.parametrize("url", [STOCK, PRICES])
def test_a_body_of_levels_is_a_list(url: str, body: Any, staff: APIClient) -> None:
    answer = staff.patch(url, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body")


def test_an_error_in_the_query_string_writes_nothing(staff: APIClient) -> None:
    make_product(sku="A", stock=1)
    for query in ("onerror=skip", "on_error=all", "dry_run=1", "on_error=skip&on_error=skip"):
        assert staff.patch(f"{STOCK}?{query}", [{"sku": "A", "on_hand": 9}]).status_code == 400
    assert staff.post(f"{PRODUCTS}?dry_run=true", make_body("create", tea(1))).status_code == 400
    assert Stock.objects.get().on_hand == 1


# -- no more than the caller allows --------------------------------------------------------------------------------


def test_more_rows_than_prefer_allows_are_not_written(staff: APIClient) -> None:
    body = make_body("upsert", tea(1), tea(2))
    refused = staff.post(PRODUCTS, body, headers={"Prefer": "return=minimal, max-affected=1"})
    assert (refused.status_code, refused.json()["code"]) == (400, "too_many_affected")
    assert refused.json()["detail"] == "2 rows would be written, and Prefer allows 1."
    assert not Product.objects.exists()
    written = staff.post(PRODUCTS, body, headers={"Prefer": "max-affected=2"})
    assert (written.status_code, written["Preference-Applied"]) == (200, "max-affected=2")
    prices = [{"sku": "TEA-1", "price": "9"}, {"sku": "TEA-2", "price": "4.00"}]
    same = staff.patch(PRICES, prices, headers={"Prefer": "max-affected=1"})
    assert list_statuses(same) == ["updated", "unchanged"], "what stays as it is isn't affected"
    assert staff.patch(PRICES, prices[:1], headers={"Prefer": "max-affected=0"}).status_code == 200
    stock = [{"sku": "TEA-1", "on_hand": 9}, {"sku": "TEA-2", "on_hand": 9}]
    assert staff.patch(STOCK, stock, headers={"Prefer": "max-affected=1"}).status_code == 400
    assert not Stock.objects.filter(on_hand=9).exists()


@pytest.mark.parametrize("limit", ["", "many", "-1", "1, max-affected=2"])
def test_a_limit_that_is_no_number_is_refused(limit: str, staff: APIClient) -> None:
    answer = staff.post(PRODUCTS, make_body("upsert", tea(1)), headers={"Prefer": f"max-affected={limit}"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_header")
    assert not Product.objects.exists()


# -- locations -----------------------------------------------------------------------------------------------------


def read_flag(sku: str) -> bool:
    return Product.objects.get(sku=sku).in_stock


def test_in_stock_is_what_an_order_can_reserve(staff: APIClient) -> None:
    make_product(sku="A", stock=0)
    order = {"lines": [{"sku": "A", "quantity": 1}]}
    Location.objects.create(code="berlin", sellable=False)
    staff.patch(STOCK, [{"sku": "A", "location": "Berlin", "on_hand": 10}])
    assert (read_flag("A"), staff.post("/api/v1/orders/", order).status_code) == (False, 409)
    staff.patch(STOCK, [{"sku": "A", "location": "Main", "on_hand": 1}])
    assert dict(Stock.objects.values_list("location", "on_hand")) == {"main": 1, "berlin": 10}
    assert (read_flag("A"), staff.post("/api/v1/orders/", order).status_code) == (True, 201)
    assert not read_flag("A")


def test_a_pile_that_moves_takes_the_flag_along() -> None:
    make_product(sku="A", stock=5)
    Stock.objects.update(location="annex")
    assert not read_flag("A")
    Stock.objects.update(location="main")
    assert read_flag("A")
    Stock.objects.all().delete()
    assert not read_flag("A")


def test_a_body_names_a_location_once_whatever_its_case(staff: APIClient) -> None:
    make_product(sku="A")
    Location.objects.create(code="north")
    rows = [{"sku": "A", "location": place, "on_hand": 5} for place in ("north", "North")]
    answer = staff.patch(STOCK, rows)
    assert answer.json()["errors"][0]["code"] == "repeated"


def test_stock_is_adjusted_and_compared_row_by_row(staff: APIClient) -> None:
    for sku in "ABCDEF":
        make_product(sku=sku, stock=5)
    Location.objects.create(code="north")
    Stock.objects.filter(variant__sku="B").update(reserved=4)
    rows = [
        {"sku": "A", "adjust": -3, "reason": "broken", "if_on_hand": 5},
        {"sku": "B", "adjust": -2},
        {"sku": "C", "on_hand": 9, "if_version": 7},
        {"sku": "D", "adjust": 1, "if_on_hand": 6},
        {"sku": "E", "adjust": 4, "location": "north", "if_version": 0},
        {"sku": "F", "adjust": 2**31 - 1},
        {"sku": "A", "location": "south"},
        {"sku": "A", "location": "east", "on_hand": 1, "adjust": 1},
    ]
    [fault] = staff.patch(STOCK, rows[1:2]).json()["errors"]
    assert fault["detail"] == "-2 leaves 3 of 5, below the 4 reserved pieces; take fewer."
    answer = staff.patch(f"{STOCK}?on_error=skip", rows).json()["results"]
    assert [fault["code"] for row in answer for fault in row["errors"]] == [
        "reserved", "changed", "changed", "max_value", "required", "unexpected",
    ]  # fmt: skip
    assert [(row["status"], row["on_hand"], row["version"]) for row in answer[:5]] == [
        ("updated", 2, 2), ("failed", 5, 2), ("failed", 5, 1), ("failed", 5, 1), ("created", 4, 1),
    ]  # fmt: skip
    again = staff.patch(STOCK, [{"sku": "A", "on_hand": 7, "if_version": 1}])
    assert (again.status_code, again.json()["errors"][0]["code"]) == (409, "changed")


def test_the_reason_of_a_change_of_stock_is_kept_until_the_next_change(staff: APIClient) -> None:
    product = make_product(sku="A", stock=5)
    staff.patch(STOCK, [{"sku": "A", "adjust": -3, "reason": "broken"}])
    assert Stock.objects.get().reason == "broken"
    staff.patch(STOCK, [{"sku": "A", "on_hand": 2}])  # the same pieces: nothing changes
    assert (Stock.objects.get().reason, Stock.objects.get().version) == ("broken", 2)
    staff.patch(f"/api/v1/products/{product.pk}/", {"variants": [{"sku": "A", "on_hand": 4}]})
    assert (Stock.objects.get().reason, Stock.objects.get().on_hand) == ("", 4)
    number_changes()
    before = Change.objects.filter(entity="stock", op="update").order_by("position").values_list("before", flat=True)
    assert [row["reason"] for row in before] == ["", "broken"]


# -- deleting ----------------------------------------------------------------------------------------------------


def test_many_products_are_deleted_by_one_statement(staff: APIClient) -> None:
    skus = [make_product(variants=2).sku for _ in range(5)]
    kept = make_product()
    with CaptureQueriesContext(connection) as queries:
        answer = staff.post(PRODUCTS, make_body("delete", *({"sku": sku} for sku in skus)))
    assert (answer.json()["deleted"], answer.json()["failed"]) == (5, 0)
    assert len([1 for query in queries if query["sql"].startswith("DELETE")]) == 1
    assert list(Product.objects.values_list("sku", flat=True)) == [kept.sku]
    assert Variant.objects.count() == 1


def test_what_a_deletion_does_not_find_or_may_not_is_told_row_by_row(staff: APIClient, client: APIClient) -> None:
    one, two = make_product(), make_product()
    items = ({"id": one.pk}, {"sku": one.sku}, {"sku": "nothing"}, {}, {"sku": two.sku, "title": "x"})
    body = make_body("delete", *items)
    assert staff.post(PRODUCTS, body).status_code == 400
    assert staff.post(PRODUCTS, body | {"on_error": "skip", "dry_run": True}).json()["deleted"] == 1
    assert Product.objects.count() == 2
    limited = staff.post(
        PRODUCTS, make_body("delete", {"id": one.pk}, {"id": two.pk}), headers={"Prefer": "max-affected=1"}
    )
    assert limited.json()["code"] == "too_many_affected"
    answer = staff.post(PRODUCTS, body | {"on_error": "skip"})
    assert list_statuses(answer) == ["deleted", "failed", "failed", "failed", "failed"]
    codes = [result["errors"][0]["code"] for result in answer.json()["results"][1:]]
    assert codes == ["repeated", "not_found", "required", "unexpected"]
    assert list(Product.objects.all()) == [two]


def test_deleting_many_needs_the_permission_to_delete() -> None:
    product, user, caller = make_product(), make_user(), APIClient()
    for right, mode, status in (("change", "delete", 403), ("delete", "update", 403), ("delete", "delete", 200)):
        user.user_permissions.set(Permission.objects.filter(codename=f"{right}_product"))
        user = User.objects.get(pk=user.pk)
        caller.force_authenticate(user)
        assert caller.post(PRODUCTS, make_body(mode, {"id": product.pk})).status_code == status
