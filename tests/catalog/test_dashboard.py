"""The admin's first page: each figure is true, links to what it counts, and costs the same at any size."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Order, User
from catalog.models import ImportJob
from config.operation.dashboard import find_quantile
from tests.factories import make_product, make_user

pytestmark = pytest.mark.django_db


def read_figures(browser: Client) -> dict[str, tuple[str, str]]:
    """`(text, link)` by label."""
    page = browser.get("/admin/").content.decode()
    found = re.findall(
        r'<a href="([^"]*)" class="bg-white(?:(?!<a ).)*?"block">([^<]*)</span>\s*<strong[^>]*>([^<]*)</strong>',
        page,
        re.DOTALL,
    )
    return {label: (text, link) for link, label, text in found}


def fill(size: int, owner: User) -> None:
    for number in range(size):
        make_product(status="draft", stock=number + 3)
        order = Order.objects.create(number=f"N{number}", user=owner, status="paid", placed_at=timezone.now())
        Order.objects.filter(pk=order.pk).update(placed_at=timezone.now() - timedelta(days=number))
        ImportJob.objects.create(owner=owner, name="a.csv", status="failed", finished_at=timezone.now(), error="Bad.")


@pytest.mark.slow
def test_each_figure_leads_to_the_rows_that_it_counts(admin_client: Client, admin_user: User, settings: Any) -> None:
    fill(4, admin_user)
    settings.LOW_STOCK = 4
    figures = read_figures(admin_client)
    assert {label: figures[label][0] for label in ("Drafts waiting", "Low stock", "Orders to ship")} == {
        "Drafts waiting": "4", "Low stock": "2", "Orders to ship": "4",
    }  # fmt: skip
    for text, link in figures.values():
        answer = admin_client.get(link)
        assert answer.status_code in (200, 503), link
        if link.startswith("/admin/"):
            assert str(answer.context_data["cl"].result_count) == text, link
    page = admin_client.get("/admin/").content.decode()
    assert "Orders: 4 in 14 days, 1 today" in page
    assert re.search(r"Import #\d+</a> failed: Bad\.", page)
    assert re.search(r"Changes: [\d,]+ in 14 days", page)


@pytest.mark.parametrize("size", [1, 30])
def test_it_costs_the_same_at_any_size(size: int, admin_client: Client, admin_user: User) -> None:
    fill(size, admin_user)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get("/admin/")
    # The session, the user; drafts; low stock; the numberer, the newest position, the first one of each day; orders;
    # exports, imports, edits and undos
    assert len(queries) <= 13, [query["sql"][:90] for query in queries]


def test_nobody_sees_figures_of_tables_that_are_closed_to_them() -> None:
    make_product(status="draft")
    browser = Client()
    browser.force_login(make_user("Support", is_staff=True))
    assert set(read_figures(browser)) == {"Orders to ship", "Orders to be paid"}


@pytest.mark.once
def test_a_quantile_is_the_bound_of_its_bucket() -> None:
    assert find_quantile([0, 8, 0, 2] + [0] * 13, 0.5) == "0.25 ms"
    assert find_quantile([0, 8, 0, 2] + [0] * 13, 0.95) == "1 ms"
    assert find_quantile([0] * 16 + [5], 0.5) == "over 10 s"
