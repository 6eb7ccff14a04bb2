"""Prices for a time: planned by the API and the admin, switched by a worker, seen by readers at once."""

import itertools
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from catalog.models import Change, Product, ScheduledPrice, Variant
from catalog.prices.switching import find_overdue, find_wait, switch_batch, switch_prices
from config.api.jobs import timers
from config.api.jobs.timers import Timekeeper, Timer
from tests.factories import make_caller, make_product
from tests.gates import Ask
from tests.together import run_together

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/v1/scheduled_prices/"
HOUR = timedelta(hours=1)


def plan(
    caller: APIClient, sku: str, price: Any = 8, begin: float = 1, end: float | None = None, **headers: Any
) -> Any:
    """`begin` and `end` are hours from now."""
    times = {name: write(hours) for name, hours in (("from", begin), ("until", end)) if hours is not None}
    return caller.post(URL, {"sku": sku, "price": str(price)} | times, headers=headers)


def write(hours: float) -> str:
    return (timezone.now() + hours * HOUR).isoformat()


def pass_by(hours: float) -> None:
    """Let time go by: all planned moments were so much earlier."""
    for row in ScheduledPrice.objects.all():
        moved = {
            name: moment - hours * HOUR
            for name in ("starts_at", "ends_at", "due_at")
            if (moment := getattr(row, name)) is not None
        }
        ScheduledPrice.objects.filter(pk=row.pk).update(**moved)


def read_price(product: Product) -> Decimal:
    return Product.objects.values_list("price", flat=True).get(pk=product.pk)


@pytest.fixture
def editor() -> APIClient:
    return make_caller("Catalogue editor")


@pytest.fixture
def tea() -> Product:
    return make_product(sku="TEA", price="10.00")


def test_a_price_is_set_at_its_time_and_the_one_of_before_returns(editor: APIClient, tea: Product) -> None:
    answer = plan(editor, "TEA", 8, 1, 3)
    assert answer.status_code == 201, answer.content
    row = answer.json()
    assert (row["sku"], row["price"], row["state"], row["price_before"]) == ("TEA", "8.00", "waiting", None)
    assert answer["Location"] == row["url"]
    switch_prices()
    assert read_price(tea) == 10, "none is early"
    pass_by(1.5)
    switch_prices()
    assert read_price(tea) == 8
    row = editor.get(row["url"]).json()
    assert (row["state"], row["price_before"]) == ("active", "10.00")
    pass_by(2)
    switch_prices()
    assert read_price(tea) == 10
    assert editor.get(row["url"]).json()["state"] == "ended"
    assert switch_batch() == 0


def test_the_change_log_names_whoever_planned_it(editor: APIClient, tea: Product) -> None:
    plan(editor, "TEA")
    pass_by(2)
    switch_prices()
    list(Change.objects.all())
    actor = ScheduledPrice.objects.get().author
    assert actor.startswith("user:")
    sql = "SELECT actor FROM catalog_change WHERE entity = 'variant' AND op = 'update'"
    if connection.vendor == "postgresql":
        sql = f"{sql} UNION SELECT actor FROM catalog_change_inbox WHERE entity = 'variant' AND op = 'update'"
    with connection.cursor() as cursor:
        cursor.execute(sql)
        assert cursor.fetchall() == [(actor,)]


@pytest.mark.parametrize("back", [False, True])
def test_a_price_that_was_changed_meanwhile_stays(back: bool, editor: APIClient, tea: Product) -> None:
    plan(editor, "TEA", 8, 1, 3)
    pass_by(2)
    switch_prices()
    editor.patch("/api/v1/prices/bulk/", [{"sku": "TEA", "price": "5.00"}])
    if back:
        editor.patch("/api/v1/prices/bulk/", [{"sku": "TEA", "price": "8.00"}])
    pass_by(2)
    switch_prices()
    assert read_price(tea) == (8 if back else 5)


def test_one_follows_the_other(editor: APIClient, tea: Product) -> None:
    moments = [write(hours) for hours in (1, 3, 5)]
    for price, begin, end in ((7, moments[1], moments[2]), (8, moments[0], moments[1])):
        body = {"sku": "TEA", "price": str(price), "from": begin, "until": end}
        assert editor.post(URL, body).status_code == 201
    found = []
    for _ in range(3):
        pass_by(2)
        switch_prices()
        found.append(read_price(tea))
    assert found == [8, 7, 10], "7 doesn't return to 8"


@pytest.mark.parametrize(
    ("begin", "end", "status"),
    [
        (1, 2, 409),
        (2, 5, 409),
        (3, 3.5, 409),
        (2, None, 409),
        (4, 5, 201),
        (1, 1.9, 201),
        (1, None, 201),
        (6, None, 409),
    ],
)
def test_times_of_one_variant_may_not_overlap(
    begin: float, end: float | None, status: int, editor: APIClient, tea: Product
) -> None:
    now = timezone.now()
    make = {"variant": tea.variants.get(), "price": 8}
    ScheduledPrice.objects.create(**make, starts_at=now + 1.95 * HOUR, ends_at=now + 4 * HOUR, due_at=now + HOUR)
    ScheduledPrice.objects.create(**make, starts_at=now + 6 * HOUR, due_at=now + 6 * HOUR)
    body = {"sku": "TEA", "price": "7", "from": (now + begin * HOUR).isoformat()}
    answer = editor.post(URL, body | ({"until": (now + end * HOUR).isoformat()} if end else {}))
    assert answer.status_code == status, answer.content
    if status == 409:
        assert answer.json()["errors"][0]["code"] == "overlaps"


def test_only_one_of_many_at_once_is_planned(editor: APIClient, tea: Product) -> None:
    answers = run_together([lambda: plan(editor, "TEA", 8, 1, 3).status_code] * 8)
    assert sorted(answers) == [201, *[409] * 7]


def test_what_can_not_be_is_refused_by_name(editor: APIClient, tea: Product) -> None:
    for body, pointer in (
        ({"sku": "NONE", "price": "1", "from": write(1)}, "/sku"),
        ({"sku": "TEA", "price": "-1", "from": write(1)}, "/price"),
        ({"sku": "TEA", "price": "1", "from": write(-1)}, "/from"),
        ({"sku": "TEA", "price": "1", "from": write(2), "until": write(1)}, "/until"),
        ({"sku": "TEA", "price": "1"}, "/from"),
        ({"sku": "TEA", "price": "1", "from": write(1), "untill": write(2)}, "/untill"),
    ):
        answer = editor.post(URL, body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)


def test_canceling_keeps_the_price_or_brings_the_one_of_before_back(editor: APIClient, tea: Product) -> None:
    first = plan(editor, "TEA", 8, 1, 3)
    assert editor.delete(first.json()["url"], headers={"If-Match": 'W/"9.x"'}).status_code == 412
    assert editor.delete(first.json()["url"], headers={"If-Match": first["ETag"]}).status_code == 204
    second = plan(editor, "TEA", 8, 1, 3, **{"Idempotency-Key": "x"})
    again = editor.post(URL, {"sku": "TEA", "price": "8"}, headers={"Idempotency-Key": "x"})
    assert again.status_code == 422, "another body"
    pass_by(2)
    switch_prices()
    assert editor.delete(second.json()["url"]).status_code == 204
    assert (read_price(tea), ScheduledPrice.objects.count()) == (10, 0)


def test_lists_have_filters(editor: APIClient, tea: Product) -> None:
    make_product(sku="POT")
    ids = [plan(editor, sku, 8, hours).json()["id"] for sku, hours in (("TEA", 1), ("POT", 5), ("TEA", 9))]
    for query, wanted in (
        ({"sku": "TEA"}, [2, 0]),
        ({"ordering": "from"}, [0, 1, 2]),
        ({"from_after": write(3), "ordering": "from"}, [1, 2]),
        ({"state": "active"}, []),
    ):
        assert [row["id"] for row in editor.get(URL, query).json()["results"]] == [ids[place] for place in wanted]


def test_a_worker_that_comes_late_sets_what_is_still_in_its_time(editor: APIClient, tea: Product) -> None:
    make_product(sku="POT", price="20.00")
    plan(editor, "TEA", 8, 1, 2)
    plan(editor, "POT", 15, 1, 9)
    pass_by(3)
    [(detail, _)] = find_overdue()
    assert detail.startswith("2 scheduled prices wait")
    switch_prices()
    assert [row.state for row in ScheduledPrice.objects.order_by("pk")] == ["missed", "active"]
    assert (read_price(tea), Product.objects.get(sku="POT").price) == (10, 15)
    assert not list(find_overdue())


def test_two_workers_switch_each_price_once(editor: APIClient) -> None:
    for number in range(6):
        make_product(sku=f"P{number}", price="10.00")
        plan(editor, f"P{number}", 8, 1, 9)
    pass_by(2)
    run_together([switch_prices] * 4)
    assert {row.price_before for row in ScheduledPrice.objects.all()} == {Decimal(10)}
    assert set(Variant.objects.values_list("version", flat=True)) == {2}


def test_a_worker_waits_for_the_moment_and_goes_on_after_a_failure(
    monkeypatch: pytest.MonkeyPatch, editor: APIClient, tea: Product
) -> None:
    begin = timezone.now() + timedelta(seconds=1)
    ScheduledPrice.objects.create(variant=tea.variants.get(), price=8, starts_at=begin, due_at=begin)
    assert 0 < find_wait() <= 1
    seen: list[datetime] = []

    def run() -> None:
        if not seen:
            seen.append(datetime.now(UTC))
            raise ValueError("the first attempt fails")
        switch_prices()
        seen.append(datetime.now(UTC))

    monkeypatch.setattr(timers, "TIMERS", {"test": Timer("test", find_wait, run)})
    monkeypatch.setattr(timers, "LOOK_SECONDS", 0.2)
    with Timekeeper():
        while len(seen) < 2 and datetime.now(UTC) < begin + timedelta(seconds=20):
            time.sleep(0.01)  # polls, since the thread tells nobody
    assert read_price(tea) == 8
    assert seen[0] >= begin, "none is early"


def test_the_admin_plans_and_cancels(admin_client: Client, tea: Product) -> None:
    page = "/admin/catalog/scheduledprice/"
    begin, end = (timezone.now() + hours * HOUR for hours in (1, 3))
    body = {
        "variant": tea.variants.get().pk, "price": "8",
        "starts_at_0": f"{begin:%Y-%m-%d}", "starts_at_1": f"{begin:%H:%M:%S}",
        "ends_at_0": f"{end:%Y-%m-%d}", "ends_at_1": f"{end:%H:%M:%S}",
    }  # fmt: skip
    assert admin_client.post(f"{page}add/", body).status_code == 302
    assert b"It overlaps the price 8.00" in admin_client.post(f"{page}add/", body).content
    pass_by(2)
    switch_prices()
    assert read_price(tea) == 8
    row = ScheduledPrice.objects.get()
    assert admin_client.get(f"{page}{row.pk}/change/").status_code == 200
    admin_client.post(f"{page}{row.pk}/delete/", {"post": "yes"})
    assert (read_price(tea), ScheduledPrice.objects.count()) == (10, 0)


class Shelf:
    """A product whose price only rises: `seen` is the acknowledged price, `begun` the one that is being set."""

    def __init__(self, ask: Ask) -> None:
        self.ask, self.product = ask, make_product(sku="TEA", price="1.00")
        self.seen = self.begun = 1
        self.wrong = list[str]()
        self.numbers, self.reads = itertools.count(1), 0

    def read_many(self, reads: int) -> None:
        while self.reads < reads:
            self.read()
            self.reads = next(self.numbers)

    def read(self) -> None:
        least = self.seen
        status, _, body = self.ask(f"/api/v1/products/{self.product.pk}/?fields=price")
        price = float(body.split(b'"')[3])
        if status != 200 or not least <= price <= self.begun:
            self.wrong.append(f"{status}: {price}, acknowledged {least}, begun {self.begun}")

    def switch(self, price: int) -> None:
        begin = timezone.now() + timedelta(milliseconds=30)
        variant = self.product.variants.get()
        ScheduledPrice.objects.create(variant=variant, price=price, starts_at=begin, due_at=begin)
        while find_wait() > 0:
            time.sleep(0.001)  # as the worker's thread does
        self.begun = price
        switch_prices()
        self.seen = price


def check_reads(ask: Ask, switches: int, reads: int) -> None:
    """Reads from several threads, as many around each switch: none old after it was acknowledged, none early."""
    shelf = Shelf(ask)

    def switch_all() -> None:
        for number in range(switches):
            while shelf.reads < number * reads // switches:
                time.sleep(0.001)  # lets the readers in between two switches
            shelf.switch(number + 2)

    run_together([switch_all, *[lambda: shelf.read_many(reads)] * 3])
    assert (shelf.seen, shelf.wrong) == (switches + 1, [])
    assert shelf.reads >= reads


@pytest.mark.slow
def test_no_read_is_older_than_an_acknowledged_switch_and_none_is_early(ask: Ask) -> None:
    check_reads(ask, switches=6, reads=2_000)


@pytest.mark.faults
def test_100_000_reads_around_100_switches(ask: Ask) -> None:
    check_reads(ask, switches=100, reads=100_000)
