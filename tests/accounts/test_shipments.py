"""Pieces of an order that are sent and come back: each piece once, and the stock is right to the piece."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from accounts.errors import TooManyPieces
from accounts.models import Order, OrderLine, User
from accounts.ordering.shipments import ship_pieces, take_back
from accounts.orders import place_order
from catalog.changes.log import number_all
from catalog.models import Change, Location, Product, Stock
from tests.factories import make_product, make_user
from tests.together import run_together

pytestmark = pytest.mark.django_db


def sign_in(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def clerk() -> APIClient:
    return sign_in(User.objects.create_superuser("clerk@example.com", "x"))


@pytest.fixture
def order() -> Order:
    """A paid order of four of nine, and one of nine."""
    make_product(sku="TEA", stock=9)
    make_product(sku="CUP", stock=9)
    order = place_order(make_user(), [{"sku": "TEA", "quantity": 4}, {"sku": "CUP", "quantity": 1}])
    Order.objects.update(status="paid")
    return order


def post(client: APIClient, order: Order, what: str, *lines: tuple[str, int], **members: Any) -> Any:
    wanted = {"lines": [{"sku": sku, "quantity": number} for sku, number in lines]} if lines else {}
    return client.post(f"/api/v1/orders/{order.number}/{what}/", wanted | members)


def count_pieces(sku: str) -> tuple[int, int, int, int]:
    """On hand, reserved; shipped, returned."""
    stock, line = Stock.objects.get(variant__sku=sku), OrderLine.objects.get(sku=sku)
    return stock.on_hand, stock.reserved, line.shipped, line.returned


def test_pieces_are_shipped_one_after_the_other(clerk: APIClient, order: Order) -> None:
    answer = post(clerk, order, "shipments", ("TEA", 3))
    assert answer.status_code == 200, answer.content
    assert (answer.json()["status"], [line["shipped"] for line in answer.json()["lines"]]) == ("paid", [3, 0])
    assert (count_pieces("TEA"), count_pieces("CUP")) == ((6, 1, 3, 0), (9, 1, 0, 0))
    assert post(clerk, order, "shipments", ("TEA", 1), ("CUP", 1)).json()["status"] == "shipped"
    assert (count_pieces("TEA"), count_pieces("CUP")) == ((5, 0, 4, 0), (8, 0, 1, 0))


@pytest.mark.parametrize("way", ["shipments", "patch"])
def test_the_rest_is_shipped_without_lines(way: str, clerk: APIClient, order: Order) -> None:
    post(clerk, order, "shipments", ("TEA", 1))
    if way == "patch":
        assert clerk.patch(f"/api/v1/orders/{order.number}/", {"status": "shipped"}).status_code == 200
    else:
        assert post(clerk, order, "shipments").status_code == 200
    assert (count_pieces("TEA"), count_pieces("CUP")) == ((5, 0, 4, 0), (8, 0, 1, 0))
    assert Order.objects.get().status == "shipped"


def test_a_canceled_order_frees_only_what_is_still_here(clerk: APIClient, order: Order) -> None:
    post(clerk, order, "shipments", ("TEA", 3))
    assert clerk.patch(f"/api/v1/orders/{order.number}/", {"status": "canceled"}).status_code == 200
    assert (count_pieces("TEA"), count_pieces("CUP")) == ((6, 0, 3, 0), (9, 0, 0, 0))
    assert post(clerk, order, "returns").json()["lines"][0]["returned"] == 3


def test_pieces_come_back_to_the_stock_or_not(clerk: APIClient, order: Order) -> None:
    post(clerk, order, "shipments")
    assert post(clerk, order, "returns", ("TEA", 1)).json()["lines"][0]["returned"] == 1
    assert count_pieces("TEA") == (6, 0, 4, 1)
    assert Stock.objects.get(variant__sku="TEA").reason == "returned"
    answer = post(clerk, order, "returns", restock=False)
    assert [line["returned"] for line in answer.json()["lines"]] == [4, 1]
    assert (count_pieces("TEA")[0], count_pieces("CUP")[0]) == (6, 8)


def test_a_return_says_why_for_each_line(clerk: APIClient, order: Order) -> None:
    post(clerk, order, "shipments")
    lines = [{"sku": "TEA", "quantity": 1, "reason": " damaged "}, {"sku": "CUP", "quantity": 1}]
    answer = clerk.post(f"/api/v1/orders/{order.number}/returns/", {"lines": lines})
    assert [line["return_reason"] for line in answer.json()["lines"]] == ["damaged", ""]
    again = clerk.post(f"/api/v1/orders/{order.number}/returns/", {"lines": [lines[0] | {"reason": "too big"}]})
    assert again.json()["lines"][0]["return_reason"] == "too big"
    unseen = clerk.post(f"/api/v1/orders/{order.number}/returns/", {"lines": [lines[1] | {"reason": "a\u202eb"}]})
    assert [error["pointer"] for error in unseen.json()["errors"]] == ["/lines/0/reason"]
    assert "reason" in post(clerk, order, "shipments", ("TEA", 1), lines=lines).json()["errors"][0]["pointer"]
    number_all()
    told = Change.objects.filter(entity="order_line", op="update", sku="TEA").order_by("position")
    assert [change.before["return_reason"] for change in told] == ["", "", "damaged"]
    # The next return of pieces without a reason has none.
    post(clerk, order, "returns", ("TEA", 1))
    assert OrderLine.objects.get(sku="TEA").return_reason == ""


def count_places(sku: str = "TEA") -> dict[str, int]:
    return dict(Stock.objects.filter(variant__sku=sku).values_list("location", "on_hand"))


@pytest.fixture
def spread(order: Order) -> Order:
    """The order, whose four of TEA are reserved: one at main, three at north."""
    Stock.objects.filter(variant__sku="TEA").update(on_hand=1, reserved=1)
    variant = Stock.objects.get(variant__sku="TEA").variant
    for code, place, number in (("north", 2, 3), ("attic", 3, 0)):
        Location.objects.create(code=code, priority=place, sellable=code != "attic")
        Stock.objects.create(variant=variant, location=code, on_hand=number, reserved=number)
    return order


def test_pieces_come_back_to_where_they_were_sent_from(clerk: APIClient, spread: Order) -> None:
    post(clerk, spread, "shipments", ("TEA", 2))
    post(clerk, spread, "shipments")
    assert OrderLine.objects.get(sku="TEA").sent_from == {"main": 1, "north": 3}
    assert count_places() == {"main": 0, "north": 0, "attic": 0}
    Location.objects.filter(code="main").update(sellable=False)
    assert post(clerk, spread, "returns", ("TEA", 2)).status_code == 200
    assert count_places() == {"main": 1, "north": 1, "attic": 0}
    assert OrderLine.objects.get(sku="TEA").sent_from == {"north": 2}
    Stock.objects.filter(location="north").delete()
    post(clerk, spread, "returns", ("TEA", 1))
    assert count_places() == {"main": 1, "north": 1, "attic": 0}, "somebody had deleted the row"


def test_pieces_come_back_to_the_location_that_the_body_names(clerk: APIClient, spread: Order) -> None:
    post(clerk, spread, "shipments")
    answer = post(clerk, spread, "returns", ("TEA", 3), location="atic")
    fault = answer.json()["errors"][0]
    assert (answer.status_code, fault["pointer"], fault["code"]) == (400, "/location", "not_found")
    assert "attic" in fault["detail"]
    refused = post(clerk, spread, "returns", ("TEA", 3), location="attic", restock=False)
    assert refused.json()["errors"][0]["pointer"] == "/location"
    assert post(clerk, spread, "returns", ("TEA", 3), location="Attic").status_code == 200
    assert count_places() == {"main": 0, "north": 0, "attic": 3}
    assert OrderLine.objects.get(sku="TEA").sent_from == {"north": 1}
    assert post(clerk, spread, "returns", ("TEA", 2), location="attic").json()["code"] == "too_many_pieces"


def test_pieces_of_a_place_that_is_gone_or_unknown_come_to_the_first_one(clerk: APIClient, spread: Order) -> None:
    post(clerk, spread, "shipments")
    OrderLine.objects.filter(sku="TEA").update(sent_from={"gone": 1})
    post(clerk, spread, "returns", ("TEA", 3))
    assert count_places() == {"main": 3, "north": 0, "attic": 0}


def test_an_order_that_a_server_of_the_former_release_ships_has_shipped_pieces(clerk: APIClient, order: Order) -> None:
    before = Order.objects.get().version
    Order.objects.filter(pk=order.pk).update(status="shipped")
    assert list(OrderLine.objects.values_list("shipped", flat=True)) == [4, 1]
    assert Order.objects.get().version > before, "followers read the lines again"
    assert post(clerk, order, "returns", ("TEA", 1)).status_code == 200


@pytest.mark.parametrize(
    ("what", "lines", "refusal"),
    [
        ("shipments", [("TEA", 4)], (409, "/lines/0/quantity", "too_many_pieces")),
        ("shipments", [("CUP", 1), ("POT", 1)], (400, "/lines/1/sku", "not_found")),
        ("shipments", [("CUP", 1), ("CUP", 1)], (400, "/lines/1/sku", "repeated")),
        ("shipments", [("CUP", 0)], (400, "/lines/0/quantity", "min_value")),
        ("returns", [("TEA", 2)], (409, "/lines/0/quantity", "too_many_pieces")),
        ("returns", [("CUP", 1)], (409, "/lines/0/quantity", "too_many_pieces")),
    ],
)
def test_more_than_there_is_moves_nothing(
    what: str, lines: Any, refusal: tuple[int, str, str], clerk: APIClient, order: Order
) -> None:
    post(clerk, order, "shipments", ("TEA", 1))
    before = [count_pieces("TEA"), count_pieces("CUP"), Order.objects.get().version]
    answer = post(clerk, order, what, *lines)
    fault = answer.json()["errors"][0]
    assert (answer.status_code, fault["pointer"], fault["code"]) == refusal
    assert [count_pieces("TEA"), count_pieces("CUP"), Order.objects.get().version] == before


def test_only_a_paid_order_is_shipped(clerk: APIClient, order: Order) -> None:
    for status in ("placed", "shipped", "completed", "canceled"):
        Order.objects.update(status=status)
        answer = post(clerk, order, "shipments", ("TEA", 1))
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_step")


def test_nothing_comes_back_twice(clerk: APIClient, order: Order) -> None:
    assert post(clerk, order, "returns").json()["code"] == "too_many_pieces"
    post(clerk, order, "shipments")
    assert [post(clerk, order, "returns").status_code for _ in range(2)] == [200, 409]


def test_a_step_compares_the_version_and_happens_once(clerk: APIClient, order: Order) -> None:
    etag = clerk.get(f"/api/v1/orders/{order.number}/")["ETag"]
    url, body = f"/api/v1/orders/{order.number}/shipments/", {"lines": [{"sku": "TEA", "quantity": 1}]}
    headers = {"If-Match": etag, "Idempotency-Key": "k"}
    first, again = (clerk.post(url, body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code, again["Idempotency-Replayed"]) == (200, 200, "true")
    assert first["ETag"] == again["ETag"] != etag
    assert clerk.post(url, body, headers={"If-Match": etag}).status_code == 412
    assert count_pieces("TEA") == (8, 3, 1, 0)


def test_the_pieces_of_deleted_products_are_only_counted(clerk: APIClient, order: Order) -> None:
    Product.objects.all().delete()
    assert post(clerk, order, "shipments").json()["status"] == "shipped"
    assert post(clerk, order, "returns").status_code == 200
    assert not Stock.objects.exists()


def test_stock_that_somebody_deleted_is_there_again(clerk: APIClient, order: Order) -> None:
    post(clerk, order, "shipments")
    Stock.objects.all().delete()
    post(clerk, order, "returns", ("TEA", 2))
    assert (Stock.objects.get().on_hand, Stock.objects.get().reason) == (2, "returned")


def test_customers_ship_and_return_nothing(order: Order) -> None:
    for caller in (sign_in(order.user), sign_in(make_user("Support"))):
        for what in ("shipments", "returns"):
            assert post(caller, order, what).status_code == 403


STEPS = st.lists(st.tuples(st.booleans(), st.integers(1, 3), st.booleans()), max_size=8)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(steps=STEPS)
def test_any_sequence_of_steps_keeps_the_sum(steps: list[tuple[bool, int, bool]]) -> None:
    Order.objects.all().delete()
    Product.objects.all().delete()
    make_product(sku="TEA", stock=9)
    order = place_order(make_user(), [{"sku": "TEA", "quantity": 4}])
    Order.objects.update(status="paid")
    lost = 0
    for is_shipment, number, restock in steps:
        wanted = [{"sku": "TEA", "quantity": number}]
        try:
            if not is_shipment:
                take_back(order, wanted, restock)
                lost += 0 if restock else number
            elif Order.objects.get().status == "paid":
                ship_pieces(order, wanted)
        except TooManyPieces:
            pass
        on_hand, reserved, shipped, returned = count_pieces("TEA")
        assert on_hand + shipped - returned + lost == 9
        assert reserved == 4 - shipped
        assert (Order.objects.get().status == "shipped") == (shipped == 4)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_many_who_ship_and_take_back_at_once_move_each_piece_once() -> None:
    make_product(sku="TEA", stock=50)
    order = place_order(make_user(), [{"sku": "TEA", "quantity": 10}])
    Order.objects.update(status="paid")
    clerk = User.objects.create_superuser("clerk@example.com", "x")

    def step(what: str) -> Callable[[], int]:
        return lambda: int(post(sign_in(clerk), order, what, ("TEA", 1)).status_code)

    answers = run_together([step("shipments")] * 16)
    assert Counter(answers) == {200: 10, 409: 6}
    assert count_pieces("TEA") == (40, 0, 10, 0)
    assert Counter(run_together([step("returns")] * 16)) == {200: 10, 409: 6}
    assert count_pieces("TEA") == (50, 0, 10, 10)
    assert Order.objects.get().version > 20
