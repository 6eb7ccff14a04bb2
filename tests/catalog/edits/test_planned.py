"""Prices from a date for many products: planned in the admin as an edit, switched by a worker, undone."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from catalog.edits.models import EditJob
from catalog.models import Product, ScheduledPrice, Variant
from catalog.prices.switching import switch_prices
from tests.catalog.changes.undo.shop import undo
from tests.catalog.edits.test_edits import BEGIN, edit, list_prices, preview, select
from tests.catalog.prices.test_scheduled import plan, write
from tests.factories import make_caller, make_product, make_user

pytestmark = pytest.mark.django_db(transaction=True)

SALE = {"edit": "price", "price_how": "percent", "amount": "-20"}


@pytest.fixture
def office(admin_user: User) -> Client:
    browser = Client()
    browser.force_login(admin_user)
    return browser


def come_due() -> None:
    """Let the next moment of each planned price come. Its times stay, which an undo compares."""
    ScheduledPrice.objects.filter(due_at__isnull=False).update(due_at=timezone.now())
    switch_prices()


def begin(first: float, last: float | None = None) -> dict[str, str]:
    """The sale of these hours from now, as a browser writes times."""
    times = {"begins": write(first)[:16], "ends": write(last)[:16] if last else ""}
    return SALE | times


@pytest.mark.parametrize("last", [30, None])
def test_prices_are_planned_for_many_and_come_back_with_the_undo(
    last: float | None, office: Client, staff: APIClient
) -> None:
    make_product(price="10.00", variants=2)
    form = select(office, "", *Product.objects.all(), make_product(price="4.90")) | begin(25, last)
    page, _ = preview(office, form)
    until = f" until {form['ends'].replace('T', ' ')}" if last else ""
    assert f"4.90 3.92 from {form['begins'].replace('T', ' ')}{until}" in page
    assert not ScheduledPrice.objects.exists()
    job = edit(office, form)
    assert job.report == {"changed": 3, "unchanged": 0, "refused": 0}
    assert {row.author for row in ScheduledPrice.objects.all()} == {f"user:{job.owner_id}"}
    assert list_prices() == ["10.00", "10.00", "4.90"]
    come_due()
    assert list_prices() == ["8.00", "8.00", "3.92"]
    # What somebody has changed since stays theirs.
    Variant.objects.filter(price=Decimal("3.92")).update(price="5.00")
    undo(staff, request_id=f"edit/{job.pk}")
    assert list_prices() == ["10.00", "10.00", "5.00"]
    assert not ScheduledPrice.objects.exists()


def test_an_undo_leaves_what_a_sale_that_is_over_gave_back(office: Client, staff: APIClient) -> None:
    product = make_product(price="10.00")
    job = edit(office, select(office, "", product) | begin(25, 30))
    for _ in ("begins", "ends"):
        come_due()
        Variant.objects.filter(price=8).update(price="7.00")  # before its end: that price stays
    undo(staff, request_id=f"edit/{job.pk}")
    assert list_prices() == ["7.00"]


def test_what_overlaps_or_was_changed_since_the_preview_is_refused(office: Client) -> None:
    planned, changed, free = (make_product(sku=sku, price="10.00") for sku in ("PLANNED", "CHANGED", "FREE"))
    _, posted = preview(office, select(office, "", planned, changed, free) | begin(25, 30))
    assert plan(make_caller("Catalogue editor"), "PLANNED", 9, 26, 27).status_code == 201
    Variant.objects.filter(product=changed).update(price="12.00")
    for _ in range(2):  # the button is pressed twice
        assert office.post(BEGIN, posted).status_code == 302
    first, second = EditJob.objects.order_by("pk")
    told = {one["sku"]: one["detail"] for one in first.refusals}
    assert told.keys() == {"PLANNED", "CHANGED"}
    assert "overlaps the price 9.00" in told["PLANNED"]
    assert "from 10.00 to 12.00" in told["CHANGED"]
    assert second.report == {"changed": 0, "unchanged": 0, "refused": 3}


def test_who_may_change_prices_but_not_plan_them_plans_none(office: Client) -> None:
    _, posted = preview(office, select(office, "", make_product()) | begin(25))
    editor, browser = make_user(is_staff=True), Client()
    editor.user_permissions.set(Permission.objects.filter(codename__in=("change_product", "change_variant")))
    browser.force_login(editor)
    assert "catalog.add_scheduledprice" in browser.post(BEGIN, posted, follow=True).content.decode()
    assert not ScheduledPrice.objects.exists()


def test_times_that_cant_be_are_told(office: Client) -> None:
    form = select(office, "", make_product())
    for times, said in (
        ({"begins": "soon"}, "is no date and time"),
        ({"ends": write(5)}, "Give a time after the one in From"),
        (begin(5, 4), "Give a time after the one in From"),
        (begin(-5), "It would begin in the past"),
    ):
        assert said in preview(office, form | SALE | times)[0]
