"""The catalogue's part of the admin's first page: drafts, low stock, changes a day. Three queries at any size."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.db.models import F, Max
from django.http import HttpRequest
from django.urls import reverse

from catalog.changes.log import number_changes
from catalog.changes.models import Change
from catalog.models import Location, Product, Stock
from config.api.admin.dashboard import Chart, Figure, list_days, show_count
from config.api.database.time_limits import end_after
from config.api.reads.counting import BOUND, count_at_most

# No index finds low stock, since stock has the most writes. Counting ends at this number, or at this time.
MOST_LOW = 100
LOW_MS = 250


def list_items(request: HttpRequest) -> Iterator[Figure | Chart]:
    user = request.user
    if user.has_perm("catalog.view_product"):
        number = count_at_most(Product.objects.filter(status=Product.Status.DRAFT), BOUND)
        link = f"{reverse('admin:catalog_product_changelist')}?status__exact=draft"
        yield Figure("Drafts waiting", show_count(number, BOUND), link)
    if user.has_perm("catalog.view_stock"):
        yield show_low_stock()
    if user.has_perm("catalog.view_change"):
        yield Chart("Changes", reverse("admin:catalog_change_changelist"), count_changes())


def show_low_stock() -> Figure:
    few = settings.LOW_STOCK
    low = Stock.objects.filter(
        location__in=Location.objects.filter(sellable=True).order_by().values("code"), on_hand__lte=F("reserved") + few
    )
    link, note = f"{reverse('admin:catalog_stock_changelist')}?free=few", f"{few} free pieces or less"
    try:
        with end_after(connection, LOW_MS):
            number = count_at_most(low, MOST_LOW)
    except OperationalError:
        return Figure("Low stock", "?", link, f"{note}; not counted within {LOW_MS} ms")
    return Figure("Low stock", show_count(number, MOST_LOW), link, note, is_alarm=number > 0)


def count_changes() -> list[int]:
    """The changes of each day. Positions have no gaps, so the first one of each day tells."""
    number_changes()
    newest = Change.objects.aggregate(newest=Max("position"))["newest"] or 0
    table, adapt = connection.ops.quote_name(Change._meta.db_table), connection.ops.adapt_datetimefield_value
    first = f"(SELECT position FROM {table} WHERE numbered_at >= %s ORDER BY numbered_at, position LIMIT 1)"  # noqa: S608
    days: list[Any] = [adapt(day) for day in list_days()]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join([first] * len(days))}", days)
        positions = [newest + 1 if position is None else position for position in cursor.fetchone()]
    return [later - earlier for earlier, later in pairwise([*positions, newest + 1])]
