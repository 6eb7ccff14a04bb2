"""Orders that nobody pays in time."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.chores import cancel_unpaid
from accounts.models import Order
from accounts.orders import move_order, place_order
from catalog.models import Stock
from tests.factories import make_product, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def orders() -> list[Order]:
    """Three orders of one piece of five: the first two are two hours old, and the second one is paid."""
    make_product(sku="TEA", stock=5)
    mia = make_user()
    placed = [place_order(mia, [{"sku": "TEA", "quantity": 1}]) for _ in range(3)]
    old = [order.pk for order in placed[:2]]
    Order.objects.filter(pk__in=old).update(placed_at=timezone.now() - timedelta(hours=2))
    move_order(placed[1], "paid")
    return placed


def test_an_order_that_is_not_paid_in_time_is_canceled(settings: Any, orders: list[Order]) -> None:
    settings.RESERVATION_MINUTES = 60
    cancel_unpaid()
    cancel_unpaid()
    assert [Order.objects.get(pk=order.pk).status for order in orders] == ["canceled", "paid", "placed"]
    assert Stock.objects.get().reserved == 2


def test_without_the_setting_reservations_last(orders: list[Order]) -> None:
    cancel_unpaid()
    assert Stock.objects.get().reserved == 3


def test_one_that_is_paid_meanwhile_stays(settings: Any, orders: list[Order], monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RESERVATION_MINUTES = 60

    def pay_first(order: Order, status: str) -> Order:
        Order.objects.filter(pk=order.pk).update(status="shipped")
        return move_order(order, status)

    monkeypatch.setattr("accounts.chores.move_order", pay_first)
    cancel_unpaid()
    assert (Order.objects.get(pk=orders[0].pk).status, Stock.objects.get().reserved) == ("shipped", 3)
