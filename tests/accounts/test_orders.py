"""Placing orders, reading them, moving them on: amounts by the server, stock with each step, foreign ones unseen."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import Order, OrderLine, User
from accounts.orders import MOVES, RESERVING, STEPS, place_order
from catalog.changes.models import Change
from catalog.models import Product, Stock, Variant
from tests.factories import make_product, make_user

pytestmark = pytest.mark.django_db

ORDERS, OWN = "/api/v1/orders/", "/api/v1/me/orders/"
HOME = {"name": "Mia", "line1": "1 High St", "line2": "", "city": "York", "postcode": "YO1", "country": "GB"}


def sign_in(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def mia() -> User:
    return make_user(email="mia@example.com")


@pytest.fixture
def buyer(mia: User) -> APIClient:
    return sign_in(mia)


@pytest.fixture
def clerk() -> APIClient:
    return sign_in(User.objects.create_superuser("clerk@example.com", "x"))


def buy(buyer: APIClient, *lines: tuple[str, Any]) -> Any:
    return buyer.post(ORDERS, {"lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines]})


def find_pieces(sku: str) -> tuple[int, int]:
    """On hand, and reserved."""
    stock = Stock.objects.get(variant__sku=sku)
    return stock.on_hand, stock.reserved


# -- placing -----------------------------------------------------------------------------------------------------


def test_an_order_copies_its_lines_and_adds_them_up(buyer: APIClient, mia: User) -> None:
    tea = make_product(sku="TEA", title="Green Tea", price="4.50", stock=5)
    make_product(sku="CUP", title="Cup", price="0.10", stock=9)
    answer = buy(buyer, ("TEA", 2), ("CUP", 3))
    assert answer.status_code == 201, answer.content
    order = answer.json()
    assert order.pop("url").endswith(f"/orders/{order['number']}/")
    assert len(order.pop("number")) == 12
    assert order.pop("placed_at").endswith("Z")
    assert order.pop("updated_at").endswith("Z")
    lines = order.pop("lines")
    assert order == {
        "user": mia.pk, "status": "placed", "currency": "USD", "subtotal": "9.30", "total": "9.30", "version": 1,
        "shipping_address": None, "billing_address": None, "note": "", "reference": "",
    }  # fmt: skip
    assert lines[0] == {
        "sku": "TEA", "title": "Green Tea", "price": "4.50", "quantity": 2, "shipped": 0, "returned": 0,
        "return_reason": "", "product": tea.pk,
    }  # fmt: skip
    assert [line["sku"] for line in lines] == ["TEA", "CUP"]
    assert (find_pieces("TEA"), find_pieces("CUP")) == ((5, 2), (9, 3))


def test_it_stays_the_same_when_the_product_changes_or_is_deleted(buyer: APIClient) -> None:
    tea = make_product(sku="TEA", title="Green Tea", price="4.50", stock=5)
    url = buy(buyer, ("TEA", 1))["Location"]
    before = buyer.get(url).json()
    Variant.objects.update(price=9)
    Product.objects.update(title="Other")
    assert buyer.get(url).json() == before
    tea.delete()
    after = buyer.get(url).json()
    assert after["lines"][0].pop("product") is None
    assert before["lines"][0].pop("product")
    assert after == before


def test_a_body_cannot_set_what_the_server_computes(buyer: APIClient) -> None:
    make_product(sku="TEA")
    line = {"sku": "TEA", "quantity": 1}
    for name in ("total", "subtotal", "status", "user", "number", "currency", "placed_at"):
        [fault] = buyer.post(ORDERS, {"lines": [line], name: "1"}).json()["errors"]
        assert (fault["pointer"], fault["code"]) == (f"/{name}", "unknown_member")
    for name in ("price", "title", "product", "variant"):
        [fault] = buyer.post(ORDERS, {"lines": [line | {name: "1"}]}).json()["errors"]
        assert (fault["pointer"], fault["code"]) == (f"/lines/0/{name}", "unknown_member")
    assert not Order.objects.exists()


def test_the_last_piece_takes_the_product_out_of_stock(buyer: APIClient) -> None:
    make_product(sku="TEA", stock=2)
    buy(buyer, ("TEA", 2))
    assert not Product.objects.get().in_stock


@pytest.mark.parametrize("stock", [0, 2])
def test_out_of_stock_names_the_skus_and_reserves_nothing(stock: int, buyer: APIClient) -> None:
    make_product(sku="CUP", stock=9)
    make_product(sku="TEA", stock=stock)
    make_product(sku="POT", stock=0)
    answer = buy(buyer, ("CUP", 1), ("TEA", 3), ("POT", 1))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "out_of_stock")
    assert problem["detail"] == "Out of stock: TEA, POT."
    assert [fault["pointer"] for fault in problem["errors"]] == ["/lines/1/quantity", "/lines/2/quantity"]
    assert [find_pieces(sku) for sku in ("CUP", "TEA", "POT")] == [(9, 0), (stock, 0), (0, 0)]
    assert not Order.objects.exists()


def test_a_variant_without_stock_at_main_is_out_of_stock(buyer: APIClient) -> None:
    make_product(sku="TEA", stock=5)
    Stock.objects.update(location="annex")
    assert buy(buyer, ("TEA", 1)).json()["code"] == "out_of_stock"


def test_reserved_pieces_are_not_sold_again(buyer: APIClient) -> None:
    make_product(sku="TEA", stock=3)
    assert [buy(buyer, ("TEA", 2)).status_code for _ in range(2)] == [201, 409]


@pytest.mark.parametrize(
    ("lines", "pointer", "code"),
    [
        ([("NONE", 1)], "/lines/0/sku", "not_found"),
        ([("TEA", 1), ("DRAFT", 1)], "/lines/1/sku", "not_found"),
        ([("TEA", 1), ("CUP", 1), ("TEA", 1)], "/lines/2/sku", "repeated"),
        ([("TEA", 1), ("EURO", 1)], "/lines/1/sku", "other_currency"),
        ([("TEA", 0)], "/lines/0/quantity", "min_value"),
        ([("TEA", 10**18)], "/lines/0/quantity", "max_value"),
        ([("TEA", "many")], "/lines/0/quantity", "invalid"),
        ([("DEAR", 1_000_000)], "/lines", "max_value"),
        ([], "/lines", "empty"),
        ([("TEA", 1)] * 101, "/lines", "max_length"),
    ],
)
def test_an_impossible_line_is_named(lines: list[tuple[str, Any]], pointer: str, code: str, buyer: APIClient) -> None:
    for sku in ("TEA", "CUP"):
        make_product(sku=sku, stock=5)
    make_product(sku="DRAFT", status="draft")
    make_product(sku="EURO", currency="EUR")
    make_product(sku="DEAR", price="9999999999.99", stock=2_000_000_000)
    answer = buy(buyer, *lines)
    assert answer.status_code == 400
    assert (answer.json()["errors"][0]["pointer"], answer.json()["errors"][0]["code"]) == (pointer, code)
    assert not Stock.objects.filter(reserved__gt=0).exists()


def test_staff_who_see_drafts_can_not_order_them(clerk: APIClient) -> None:
    make_product(sku="DRAFT", status="draft")
    assert buy(clerk, ("DRAFT", 1)).status_code == 400


@pytest.mark.parametrize("size", [1, 40])
def test_an_order_costs_as_many_queries_whatever_its_length(
    size: int, buyer: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    skus = [make_product(stock=5).sku for _ in range(size)]
    # 1. a savepoint  2. a savepoint (both are BEGIN outside a test)  3. variants and products, locked  4. the stock
    # 5. the order  6. its lines  7. the end of 2  8. the order as it is shown  9. the end of 1. SQLite looks at
    # the stock before it changes it.
    with django_assert_num_queries(9 if connection.vendor == "postgresql" else 10):
        assert buy(buyer, *[(sku, 1) for sku in skus]).status_code == 201


# -- reading -----------------------------------------------------------------------------------------------------


def order_for(user: User, *skus: str) -> Order:
    return place_order(user, [{"sku": sku, "quantity": 1} for sku in skus])


def test_a_caller_sees_only_their_own_orders(buyer: APIClient, mia: User, clerk: APIClient) -> None:
    make_product(sku="TEA", stock=9)
    ours, theirs = order_for(mia, "TEA"), order_for(make_user(), "TEA")
    assert [row["number"] for row in buyer.get(ORDERS).json()["results"]] == [ours.number]
    assert [row["number"] for row in buyer.get(OWN).json()["results"]] == [ours.number]
    assert [row["number"] for row in clerk.get(ORDERS).json()["results"]] == [theirs.number, ours.number]
    assert clerk.get(OWN).json()["results"] == []
    foreign, missing = buyer.get(f"{ORDERS}{theirs.number}/"), buyer.get(f"{ORDERS}{'X' * 12}/")
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json() | {"request_id": ""} == missing.json() | {"request_id": ""}
    assert sign_in(make_user("Support")).get(f"{ORDERS}{theirs.number}/").status_code == 200


def test_one_callers_page_is_never_shown_to_another(buyer: APIClient, mia: User) -> None:
    # Reads keep plans; a plan that held its caller would answer the next one.
    make_product(sku="TEA", stock=9)
    order_for(mia, "TEA")
    for _ in range(3):
        assert len(buyer.get(OWN).json()["results"]) == 1
        assert sign_in(make_user()).get(OWN).json()["results"] == []


@pytest.mark.parametrize("size", [1, 10, 100])
def test_a_page_with_its_lines_is_one_statement(
    size: int, buyer: APIClient, mia: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    skus = [make_product(stock=1000).sku for _ in range(5)]
    for _ in range(size):
        order_for(mia, *skus)
    # 1. the orders with their lines
    with django_assert_num_queries(1):
        page = buyer.get(f"{OWN}?page_size=200").json()["results"]
    assert [len(row["lines"]) for row in page] == [5] * size


@pytest.mark.slow
def test_all_lines_are_shown(buyer: APIClient) -> None:
    skus = [make_product(stock=1).sku for _ in range(100)]
    order = buy(buyer, *[(sku, 1) for sku in skus]).json()
    assert [line["sku"] for line in order["lines"]] == skus
    assert len(buyer.get(OWN).json()["results"][0]["lines"]) == 100


def test_fields_may_be_chosen(buyer: APIClient, mia: User) -> None:
    make_product(sku="TEA")
    order_for(mia, "TEA")
    for query, names in (
        ("fields=number,total", ["number", "total"]),
        ("fields=number,lines", ["number", "lines"]),
        (
            "omit=lines,user,currency,subtotal,shipping_address,billing_address,note,reference,placed_at,updated_at,url",
            ["number", "status", "total", "version"],
        ),
    ):
        assert list(buyer.get(f"{OWN}?{query}").json()["results"][0]) == names


def walk_pages(client: APIClient, url: str | None) -> Iterator[str]:
    while url:
        page = client.get(url).json()
        yield from (row["number"] for row in page["results"])
        url = page["next"]


def test_a_walk_to_the_end_sees_every_order_once(buyer: APIClient, mia: User) -> None:
    make_product(sku="TEA", stock=99)
    numbers = [order_for(mia, "TEA").number for _ in range(7)]
    Order.objects.update(placed_at="2026-01-31T12:00:00Z")
    assert list(walk_pages(buyer, f"{OWN}?page_size=2")) == numbers[::-1]
    assert list(walk_pages(buyer, f"{OWN}?page_size=2&ordering=placed_at")) == numbers


def test_no_cache_stores_personal_answers(buyer: APIClient) -> None:
    make_product(sku="TEA")
    made = buy(buyer, ("TEA", 1))
    for answer in (made, buyer.get(made["Location"]), buyer.get(OWN), buyer.get(ORDERS), APIClient().get(ORDERS)):
        assert answer["Cache-Control"] == "private, no-store"


# -- moving on ---------------------------------------------------------------------------------------------------


@pytest.fixture
def placed(mia: User) -> str:
    """The address of an order of two of five pieces."""
    make_product(sku="TEA", stock=5)
    return f"{ORDERS}{place_order(mia, [{'sku': 'TEA', 'quantity': 2}]).number}/"


def walk_to(client: APIClient, url: str, status: str) -> None:
    """From `placed` by the shortest way."""
    ways = {"placed": (), "paid": ("paid",), "shipped": ("paid", "shipped"), "canceled": ("canceled",)}
    for step in (ways | {"completed": ("paid", "shipped", "completed")})[status]:
        assert client.patch(url, {"status": step}).json()["status"] == step


@pytest.mark.parametrize("status", Order.Status.values)
@pytest.mark.parametrize("asked", Order.Status.values)
def test_only_the_steps_of_the_table_are_taken(status: str, asked: str, clerk: APIClient, placed: str) -> None:
    walk_to(clerk, placed, status)
    before = find_pieces("TEA")
    answer = clerk.patch(placed, {"status": asked})
    if asked in STEPS[status]:
        assert answer.json()["status"] == asked
        assert (asked in MOVES) == (find_pieces("TEA") != before)
        return
    if asked == status:  # no change
        assert (answer.status_code, find_pieces("TEA")) == (200, before)
        return
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_step")
    assert find_pieces("TEA") == before
    assert clerk.get(placed).json()["status"] == status


@pytest.mark.parametrize("status", Order.Status.values)
def test_an_order_sent_back_as_it_was_read_stays_as_it_is(
    status: str, clerk: APIClient, buyer: APIClient, placed: str
) -> None:
    clerk.patch(placed, {"shipping_address": HOME, "note": "Ring twice"})
    walk_to(clerk, placed, status)
    for caller in (clerk, buyer):
        read, before = caller.get(placed).json(), Change.objects.count()
        answer = caller.patch(placed, read)
        assert (answer.status_code, answer.json(), Change.objects.count()) == (200, read, before)


def test_the_table_is_what_readme_says() -> None:
    assert {status: tuple(steps) for status, steps in STEPS.items()} == {
        "placed": ("paid", "canceled"), "paid": ("shipped", "canceled"), "shipped": ("completed",),
        "completed": (), "canceled": (),
    }  # fmt: skip
    assert {status for status, steps in STEPS.items() if "canceled" in steps} == set(RESERVING)


def test_a_canceled_order_gives_its_pieces_back(clerk: APIClient, placed: str) -> None:
    assert find_pieces("TEA") == (5, 2)
    walk_to(clerk, placed, "canceled")
    assert find_pieces("TEA") == (5, 0)


def test_a_shipped_order_takes_its_pieces_away(clerk: APIClient, placed: str) -> None:
    walk_to(clerk, placed, "shipped")
    assert find_pieces("TEA") == (3, 0)


def test_a_shipment_of_pieces_that_are_not_reserved_is_refused(clerk: APIClient, placed: str) -> None:
    walk_to(clerk, placed, "paid")
    Stock.objects.update(reserved=1)
    answer = clerk.patch(placed, {"status": "shipped"})
    assert answer.status_code == 409
    assert "TEA" in answer.json()["detail"]
    assert (find_pieces("TEA"), clerk.get(placed).json()["status"]) == ((5, 1), "paid")


def test_pieces_that_are_gone_do_not_keep_an_order_from_being_canceled(clerk: APIClient, placed: str) -> None:
    Stock.objects.update(reserved=1)
    walk_to(clerk, placed, "canceled")
    assert find_pieces("TEA") == (5, 0)


def test_an_order_of_a_deleted_product_moves_on(clerk: APIClient, placed: str) -> None:
    Product.objects.all().delete()
    walk_to(clerk, placed, "completed")


def test_only_the_right_to_change_orders_moves_one(buyer: APIClient, clerk: APIClient, placed: str) -> None:
    for caller in (buyer, sign_in(make_user("Support"))):
        assert caller.patch(placed, {"status": "paid"}).status_code == 403
    assert sign_in(make_user(is_staff=True)).patch(placed, {"status": "paid"}).status_code == 404
    for method in ("put", "delete"):
        assert getattr(clerk, method)(placed, {"status": "paid"}).status_code == 405


def test_a_step_takes_a_status_and_nothing_else(clerk: APIClient, placed: str) -> None:
    for body, code in (({"status": "lost"}, "invalid_choice"), ({"total": "0.01"}, "unknown_member")):
        answer = clerk.patch(placed, body)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)
    assert clerk.patch(placed, {}).json()["status"] == "placed"
    assert OrderLine.objects.get().price == Decimal("10.00")
