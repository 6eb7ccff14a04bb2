"""Many orders at once: what is there is sold, nothing else, and nobody waits for each other in a circle."""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import Order, OrderLine, User
from accounts.orders import place_order
from catalog.models import Product, Stock, Variant
from tests.factories import make_product, make_user
from tests.together import run_together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def buy(user: User, *lines: tuple[str, int]) -> tuple[int, str | None]:
    """Status, and the code of a refusal."""
    client = APIClient()
    client.force_authenticate(user)
    answer = client.post("/api/v1/orders/", {"lines": [{"sku": sku, "quantity": number} for sku, number in lines]})
    return answer.status_code, answer.json().get("code")


# `make test-faults` sells 100.
PIECES = int(os.environ.get("PIECES", "20"))


def test_five_times_as_many_orders_as_there_are_pieces_sell_each_piece_once() -> None:
    make_product(sku="TEA", stock=PIECES)
    user = make_user()
    answers = run_together([lambda: buy(user, ("TEA", 1))] * PIECES * 5)
    assert Counter(answers) == {(201, None): PIECES, (409, "out_of_stock"): PIECES * 4}
    stock = Stock.objects.get()
    assert (stock.on_hand, stock.reserved) == (PIECES, PIECES)
    assert (Order.objects.count(), OrderLine.objects.count()) == (PIECES, PIECES)
    assert not Product.objects.get().in_stock


def test_one_reference_is_one_order_for_all_who_send_it_at_once() -> None:
    make_product(sku="TEA", stock=1)  # the last piece: nobody else is told that it is out of stock
    user = make_user()

    def send(note: str) -> tuple[int, str | None]:
        client = APIClient()
        client.force_authenticate(user)
        answer = client.post(
            "/api/v1/orders/", {"lines": [{"sku": "TEA", "quantity": 1}], "reference": "PO-7", "note": note}
        )
        return answer.status_code, answer.json().get("code") or answer.json()["number"]

    answers = Counter(run_together([lambda: send("same")] * 24 + [lambda: send("other")] * 8))
    order = Order.objects.get()
    same, other = (24, 8) if order.note == "same" else (8, 24)
    assert answers == {(201, order.number): 1, (200, order.number): same - 1, (409, "reference_used"): other}
    assert Stock.objects.get().reserved == 1


def fill_shop(number: int = 3000) -> None:
    """So many products that the planner looks stock up line by line, as in a real shop; 20 rows it reads in a row."""
    products = Product.objects.bulk_create(Product(sku=f"P{n}", slug=f"p{n}", title="x") for n in range(number))
    variants = Variant.objects.bulk_create(Variant(product=row, sku=row.sku, price=1) for row in products)
    Stock.objects.bulk_create(Stock(variant=row) for row in variants)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_orders_of_the_same_products_in_any_sequence_never_deadlock() -> None:
    fill_shop()
    # Several variants a product, and the last pieces: each order also turns `in_stock` of its products.
    skus = [sku for _ in range(4) for sku in list_skus(make_product(variants=2, stock=40))]
    user = make_user()
    turns = [skus[turn:] + skus[:turn] for turn in range(len(skus))]
    orders = [[(sku, 1) for sku in (turn if number % 2 else turn[::-1])] for number in range(10) for turn in turns]
    answers = run_together([lambda lines=lines: buy(user, *lines) for lines in orders])  # type: ignore[misc]  # a default
    assert Counter(answers) == {(201, None): 40, (409, "out_of_stock"): 40}
    assert set(Stock.objects.filter(on_hand=40).values_list("reserved", flat=True)) == {40}


def list_skus(product: Product) -> list[str]:
    return list(product.variants.values_list("sku", flat=True))


def test_a_step_is_taken_once_by_many_at_once() -> None:
    make_product(sku="TEA", stock=9)
    make_product(sku="CUP", stock=9)
    user = make_user()
    clerk = User.objects.create_superuser("clerk@example.com", "x")
    place_order(user, [{"sku": "TEA", "quantity": 4}])
    order = place_order(user, [{"sku": "CUP", "quantity": 2}, {"sku": "TEA", "quantity": 2}])

    def cancel() -> tuple[int, str | None]:
        client = APIClient()
        client.force_authenticate(clerk)
        answer = client.patch(f"/api/v1/orders/{order.number}/", {"status": "canceled"})
        return answer.status_code, answer.json().get("code")

    # Nineteen find it canceled, which is no step any more, and no change.
    assert Counter(run_together([cancel] * 20)) == {(200, None): 20}
    assert Order.objects.get(pk=order.pk).version == order.version + 1
    assert dict(Stock.objects.values_list("variant__sku", "reserved")) == {"TEA": 4, "CUP": 0}


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_stock_that_is_written_while_orders_come_never_deadlocks() -> None:
    fill_shop()
    skus = [sku for _ in range(6) for sku in list_skus(make_product(variants=2, stock=1000))]
    user, clerk = make_user(), User.objects.create_superuser("clerk@example.com", "x")
    turns = [skus[turn:] + skus[:turn] for turn in range(len(skus))]

    def count_again(some: list[str], on_hand: int) -> tuple[int, str | None]:
        client = APIClient()
        client.force_authenticate(clerk)
        answer = client.patch("/api/v1/stock/bulk/", [{"sku": sku, "on_hand": on_hand} for sku in some])
        return answer.status_code, answer.json().get("code")

    calls: list[Callable[[], Any]] = []
    for number, turn in enumerate(turns * 3):
        calls.append(lambda turn=turn: buy(user, *((sku, 1) for sku in turn)))  # type: ignore[misc]  # a default
        calls.append(lambda turn=turn, number=number: count_again(turn[::-1], 900 + number))  # type: ignore[misc]  # the same
    assert set(run_together(calls)) == {(201, None), (200, None)}


def test_adjustments_shipments_and_late_sets_from_32_threads_end_with_the_right_sum() -> None:
    make_product(sku="TEA", stock=100)
    user, clerk = make_user(), User.objects.create_superuser("clerk@example.com", "x")
    late = [{"sku": "TEA", "on_hand": 100, "if_version": Stock.objects.get().version}]
    Stock.objects.update(on_hand=101)

    def patch(path: str, body: Any) -> int:
        client = APIClient()
        client.force_authenticate(clerk)
        return int(client.patch(f"/api/v1/{path}", body).status_code)

    def ship() -> list[int]:
        order = place_order(user, [{"sku": "TEA", "quantity": 2}])
        return [patch(f"orders/{order.number}/", {"status": status}) for status in ("paid", "shipped")]

    calls: list[Callable[[], Any]] = [ship, lambda: patch("stock/bulk/", [{"sku": "TEA", "adjust": 3}])] * 14
    answers = run_together([*calls, *[lambda: patch("stock/bulk/", late)] * 4])
    assert answers == [[200, 200], 200] * 14 + [409] * 4
    stock = Stock.objects.get()
    assert (stock.on_hand, stock.reserved) == (101 + 14 * 3 - 14 * 2, 0)
