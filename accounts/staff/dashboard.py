"""The orders' part of the admin's first page: what is to be paid and shipped, orders a day. Two queries at any size."""

from collections.abc import Iterator
from itertools import pairwise

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Order
from config.api.admin.dashboard import Chart, Figure, list_days, show_count
from config.api.reads.counting import BOUND, count_each


def list_items(request: HttpRequest) -> Iterator[Figure | Chart]:
    if not request.user.has_perm("accounts.view_order"):
        return
    orders, link = Order.objects.all(), reverse("admin:accounts_order_changelist")
    waiting = [orders.filter(status=status) for status in (Order.Status.PAID, Order.Status.PLACED)]
    days = pairwise([*list_days(), timezone.now()])
    each_day = [orders.filter(placed_at__gte=start, placed_at__lt=end) for start, end in days]
    to_ship, unpaid, *numbers = count_each([*waiting, *each_day], BOUND)
    yield Figure(
        "Orders to ship", show_count(to_ship, BOUND), f"{link}?status__exact=paid", "paid", is_alarm=to_ship > 0
    )
    yield Figure("Orders to be paid", show_count(unpaid, BOUND), f"{link}?status__exact=placed")
    yield Chart("Orders", link, numbers)
