"""Addresses, notes and references of orders, what a customer may change, and how orders are found."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import Address, Order, User
from accounts.ordering.filters import SERVED
from accounts.orders import place_order
from catalog.models import Change, Stock
from tests.factories import make_product, make_user

pytestmark = pytest.mark.django_db

ORDERS = "/api/v1/orders/"
HOME = {"name": "Mia Wu", "line1": "1 High St", "line2": "", "city": "Bath", "postcode": "BA1 1AA", "country": "GB"}
TEA = [{"sku": "TEA", "quantity": 1}]


def sign_in(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def let(user: User, *names: str) -> User:
    user.user_permissions.add(*Permission.objects.filter(codename__in=names))
    return User.objects.get(pk=user.pk)  # who hasn't read the permissions yet


@pytest.fixture
def mia() -> User:
    make_product(sku="TEA", stock=99)
    return make_user(email="Mia@example.com")


@pytest.fixture
def buyer(mia: User) -> APIClient:
    return sign_in(mia)


@pytest.fixture
def clerk() -> APIClient:
    return sign_in(let(make_user("Support"), "change_order"))


def buy(buyer: APIClient, **members: Any) -> Any:
    return buyer.post(ORDERS, {"lines": TEA} | members)


# -- addresses ----------------------------------------------------------------------------------------------------


def test_an_order_copies_an_own_address_and_keeps_it(buyer: APIClient, mia: User) -> None:
    own = Address.objects.create(user=mia, **HOME)
    made = buy(buyer, shipping_address=own.pk, billing_address=HOME | {"name": "Wu Ltd"}, note="Ring twice.\nThanks")
    assert made.status_code == 201, made.content
    own.delete()
    order = buyer.get(made["Location"]).json()
    assert order["shipping_address"] == HOME
    assert order["billing_address"] == HOME | {"name": "Wu Ltd"}
    assert order["note"] == "Ring twice.\nThanks"


@pytest.mark.parametrize(
    ("given", "pointer", "code"),
    [
        ("other's", "/shipping_address", "not_found"),
        (True, "/shipping_address", "invalid"),
        ("1 High St", "/shipping_address", "invalid"),
        (2**63, "/shipping_address", "max_value"),
        (0, "/shipping_address", "min_value"),
        (HOME | {"country": "gb"}, "/shipping_address/country", "invalid"),
        (HOME | {"town": "Bath"}, "/shipping_address/town", "unknown_member"),
        ({"name": "Mia"}, "/shipping_address/line1", "required"),
    ],
)
def test_another_address_is_named(given: Any, pointer: str, code: str, buyer: APIClient) -> None:
    if given == "other's":
        given = Address.objects.create(user=make_user(), **HOME).pk
    answer = buy(buyer, shipping_address=given)
    assert answer.status_code == 400
    [fault, *_] = answer.json()["errors"]
    assert (fault["pointer"], fault["code"]) == (pointer, code)
    assert not Order.objects.exists()
    assert Stock.objects.get().reserved == 0


# -- references ---------------------------------------------------------------------------------------------------


def test_the_same_order_again_is_answered_with_the_first(buyer: APIClient) -> None:
    first = buy(buyer, reference="PO-7", note="x")
    buyer.patch(first["Location"], {"note": "y"})
    again = buy(buyer, reference="PO-7", note="x")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == buyer.get(first["Location"]).json()
    assert again.json()["note"] == "y"
    assert (Order.objects.count(), Stock.objects.get().reserved) == (1, 1)


@pytest.mark.parametrize(
    "other", [{"note": "z"}, {"lines": [{"sku": "TEA", "quantity": 2}]}, {"billing_address": HOME}]
)
def test_another_body_with_the_same_reference_is_refused(other: Any, buyer: APIClient) -> None:
    first = buy(buyer, reference="PO-7")
    answer = buy(buyer, reference="PO-7", **other)
    assert (answer.status_code, answer.json()["code"]) == (409, "reference_used")
    assert first.json()["number"] in answer.json()["detail"]
    assert Stock.objects.get().reserved == 1


def test_others_may_use_the_reference_and_none_is_none(buyer: APIClient) -> None:
    callers = (buyer, sign_in(make_user()))
    assert [buy(caller, reference="PO-7").status_code for caller in callers] == [201, 201]
    assert [buy(buyer, reference="").status_code for _ in range(2)] == [201, 201]
    assert [buy(buyer).status_code for _ in range(2)] == [201, 201]


# -- changes ------------------------------------------------------------------------------------------------------


def test_a_customer_changes_an_order_while_it_is_placed(buyer: APIClient, mia: User, clerk: APIClient) -> None:
    made = buy(buyer)
    url, own = made["Location"], Address.objects.create(user=mia, **HOME)
    changed = buyer.patch(url, {"shipping_address": own.pk, "note": "Ring"}, headers={"If-Match": made["ETag"]})
    assert changed.status_code == 200, changed.content
    assert (changed.json()["shipping_address"], changed.json()["note"], changed.json()["version"]) == (HOME, "Ring", 2)
    late = buyer.patch(url, {"note": "Late"}, headers={"If-Match": made["ETag"]})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    # An id is that of an address of the customer, whoever writes it.
    assert clerk.patch(url, {"billing_address": own.pk, "status": "paid"}).json()["billing_address"] == HOME
    for caller in (buyer, clerk):
        answer = caller.patch(url, {"note": "Late"})
        assert (answer.status_code, answer.json()["code"]) == (409, "not_placed")


def test_a_customer_cancels_an_order_while_it_is_placed(buyer: APIClient, clerk: APIClient) -> None:
    one, other = (buy(buyer)["Location"] for _ in range(2))
    assert buyer.patch(one, {"status": "canceled"}).json()["status"] == "canceled"
    assert Stock.objects.get().reserved == 1
    clerk.patch(other, {"status": "paid"})
    late = buyer.patch(other, {"status": "canceled"})
    assert (late.status_code, late.json()["code"]) == (409, "not_placed")
    assert Stock.objects.get().reserved == 1
    assert clerk.patch(other, {"status": "canceled"}).status_code == 200


def test_nobody_changes_an_order_of_others_without_the_permission(buyer: APIClient) -> None:
    url = buy(buyer)["Location"]
    for body in ({"note": "x"}, {"status": "canceled"}, {}):
        assert sign_in(make_user()).patch(url, body).status_code == 404
        assert sign_in(make_user("Support")).patch(url, body).status_code == 403
    assert Order.objects.get().version == 1


# -- finding ------------------------------------------------------------------------------------------------------


def list_numbers(client: APIClient, path: str = ORDERS, **query: Any) -> list[str]:
    answer = client.get(path, query)
    assert answer.status_code == 200, answer.content
    return [row["number"] for row in answer.json()["results"]]


def test_orders_are_found_by_each_filter(buyer: APIClient, mia: User, clerk: APIClient) -> None:
    make_product(sku="CUP", stock=9)
    tea = buy(buyer, reference="PO-7").json()
    cup = buy(buyer, lines=[{"sku": "CUP", "quantity": 1}]).json()
    other = place_order(make_user(), TEA)
    clerk.patch(tea["url"], {"status": "paid"})
    own = {tea["number"], cup["number"]}
    for query, found in (
        ({"status": "paid"}, {tea["number"]}),
        ({"status": "paid,placed"}, own),
        ({"placed_after": cup["placed_at"]}, {cup["number"]}),
        ({"placed_before": cup["placed_at"]}, {tea["number"]}),
        ({"updated_since": cup["updated_at"]}, own),
        ({"number": f"{tea['number'].lower()},{other.number}"}, {tea["number"]}),
        ({"search": "PO-7"}, {tea["number"]}),
        ({"search": cup["number"].lower()}, {cup["number"]}),
        ({"search": "CUP"}, {cup["number"]}),
        ({"search": "TE"}, set()),
    ):
        for path in (ORDERS, "/api/v1/me/orders/"):
            assert set(list_numbers(buyer, path, **query)) == found, query
    assert list_numbers(buyer, ordering="-updated_at") == [tea["number"], cup["number"]]
    assert set(list_numbers(clerk, email="MIA@example.com")) == own
    assert list_numbers(clerk, email="nobody@example.com") == []
    assert set(list_numbers(clerk, search="TEA")) == {tea["number"], other.number}


def test_only_who_may_view_users_finds_orders_by_address(buyer: APIClient, mia: User) -> None:
    buy(buyer)
    for caller in (buyer, sign_in(let(make_user(), "view_order"))):
        answer = caller.get(ORDERS, {"email": mia.email})
        assert answer.status_code == 403
        assert "accounts.view_user" in answer.json()["detail"]
    assert buyer.get("/api/v1/me/orders/", {"email": mia.email}).json()["code"] == "unknown_parameter"


@pytest.mark.skipif(connection.vendor == "sqlite", reason="asks PostgreSQL's planner")
def test_pages_are_read_from_indexes_and_searches_too() -> None:
    user = make_user()
    fill = """
        INSERT INTO accounts_order (number, user_id, status, currency, subtotal, total, placed_at, version)
        SELECT 'N' || n, %s, CASE WHEN n %% 100 = 0 THEN 'paid' ELSE 'completed' END, 'USD', 1, 1,
               now() - n * interval '1 minute', 1
        FROM generate_series(1, 20000) n"""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # without the log
        cursor.execute(fill, [user.pk])
        cursor.execute("UPDATE accounts_order SET updated_at = placed_at")
        cursor.execute(
            "INSERT INTO accounts_orderline (order_id, sku, title, price, quantity)"
            " SELECT id, 'S' || id % 5000, 'x', 1, 1 FROM accounts_order"
        )
        cursor.execute("ANALYZE accounts_order")
        cursor.execute("ANALYZE accounts_orderline")
    orders: Any = Order.objects
    values = {"status": {"status": "paid"}, "placed_after": {"placed_at__gte": "2020-01-01T00:00:00Z"}}
    values |= {"placed_before": {"placed_at__lt": "2030-01-01T00:00:00Z"}, None: {}}
    values |= {"updated_since": {"updated_at__gte": "2020-01-01T00:00:00Z"}}
    for name, column in sorted(SERVED, key=str):
        plan = orders.filter(**values[name]).order_by(f"-{column}", "-pk").values("pk")[:51].explain()
        assert "Sort" not in plan, (name, column, plan)
        assert "Seq Scan" not in plan, (name, column, plan)
    for text in ("N7", "S7"):
        plan = orders.naming(text).order_by("-placed_at", "-pk").values("pk")[:51].explain()
        assert "Seq Scan" not in plan, plan


def test_a_page_of_found_orders_is_one_statement(
    buyer: APIClient, mia: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    buy(buyer)
    # 1. the orders with their lines
    with django_assert_num_queries(1):
        assert list_numbers(buyer, "/api/v1/me/orders/", status="placed")


# -- the feed -----------------------------------------------------------------------------------------------------


def test_the_feed_names_the_order_and_shows_no_address(buyer: APIClient) -> None:
    made = buy(buyer, shipping_address=HOME)
    partner = sign_in(let(make_user("Export partner"), "view_order", "view_orderline"))
    buyer.patch(made["Location"], {"note": "Ring twice"})
    answer = partner.get("/api/v1/changes/", {"entity": "order"})
    assert [(row["op"], row["sku"], row["version"]) for row in answer.json()["results"]] == [
        ("create", made.json()["number"], 1),
        ("update", made.json()["number"], 2),
    ]
    assert b"High St" not in answer.content
    assert sign_in(make_user("Export partner")).get("/api/v1/changes/", {"entity": "order"}).json()["results"] == []
    # The log keeps what was, for those who may view orders in the admin.
    assert Change.objects.get(entity="order", op="update").before["shipping_address"] == HOME
