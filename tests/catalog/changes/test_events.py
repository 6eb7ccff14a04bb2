"""The change log as webhooks are told of it: whatever was written, by whoever, as few events and with what changed."""

import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.db import connection

from accounts.models import Order, OrderLine, User
from accounts.orders import move_order, place_order
from catalog.changes import events
from catalog.changes.events import LOG
from catalog.changes.feed import read_cursor
from catalog.models import Image, ImportJob, Product, ProductText, Stock, Variant
from config.api.database.authorship import sign_writes
from config.api.webhooks.events import Event
from config.api.webhooks.models import Webhook
from exports.models import ExportJob
from tests.factories import make_brand, make_category, make_product, make_user

pytestmark = pytest.mark.django_db


class Follower:
    """A webhook that wants these events, and what it is told since it was asked last."""

    def __init__(self, owner: User, *names: str, **fields: Any) -> None:
        self.webhook = Webhook(owner=owner, events=list(names), position=read_cursor(), **fields)

    def read(self) -> list[Event]:
        read_cursor()
        batch = LOG.read(self.webhook)
        found = list(batch.events)
        self.webhook.position = batch.reached
        return found

    def list_types(self) -> list[tuple[str, int]]:
        return [(event.type, event.data["id"]) for event in self.read()]


@pytest.fixture
def partner(db: None) -> User:
    return make_user("Export partner")


def test_a_new_product_is_one_event_and_its_price_and_stock_one_each(admin_user: User) -> None:
    follower = Follower(admin_user, "product.*", "price.updated", "stock.updated")
    product = make_product(sku="TEA", variants=2, images=3)
    variants = list(product.variants.order_by("pk"))
    stock = list(Stock.objects.order_by("pk"))
    told = [(event.type, event.data["id"], event.data["sku"]) for event in follower.read()]
    assert told[0] == ("product.created", product.pk, "TEA")
    assert sorted(told[1:]) == [
        *(("price.updated", variant.pk, variant.sku) for variant in variants),
        *(("stock.updated", row.pk, row.variant.sku) for row in stock),
    ]


def test_an_update_names_what_changed(admin_user: User) -> None:
    product = make_product(sku="TEA", title="Tea", brand=make_brand("Acme"))
    follower = Follower(admin_user, "product.updated")
    Product.objects.update(title="Green Tea", brand=make_brand("Tidewater"))
    Product.objects.update(rating=Decimal("4.50"))
    ProductText.objects.update(description="Good.")
    Image.objects.filter(product=product).update(alt="A cup")
    [event] = follower.read()
    product.refresh_from_db()
    assert event.data == {
        "id": product.pk, "sku": "TEA", "version": product.version, "position": event.position,
        "changed": ["brand", "images", "rating", "text", "title"],
    }  # fmt: skip


def test_a_price_that_went_back_is_told_all_the_same(admin_user: User) -> None:
    """With `expand` a receiver may have seen the price between."""
    make_product(price="4.00")
    follower = Follower(admin_user, "price.updated")
    for price in ("5.00", "4.00"):
        Variant.objects.update(price=Decimal(price))
    assert [event.data["changed"] for event in follower.read()] == [["price"]]
    Variant.objects.update(weight=3)
    assert follower.read() == []


@pytest.mark.django_db(transaction=True)
def test_of_an_import_nobody_knows_what_changed(admin_user: User) -> None:
    make_product()
    follower = Follower(admin_user, "product.updated", "price.updated")
    with sign_writes(keep_before=False):
        Variant.objects.update(weight=3)
        Product.objects.update(title="Tea")
    assert {(event.type, event.data["changed"] is None) for event in follower.read()} == {
        ("price.updated", True), ("product.updated", True),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "told"),
    [(("product.*",), ["created"]), (("product.updated",), ["updated"]), (("product.deleted",), [])],
)
def test_what_is_created_and_changed_is_told_to_whoever_wants_either(
    names: Sequence[str], told: Sequence[str], admin_user: User
) -> None:
    follower = Follower(admin_user, *names)
    make_product()
    Product.objects.update(title="Tea")
    assert [event.type for event in follower.read()] == [f"product.{verb}" for verb in told]


def test_a_delete_has_the_last_name_and_its_parts_tell_nothing(admin_user: User) -> None:
    product, brand = make_product(sku="TEA"), make_brand("Acme")
    key = product.pk
    follower = Follower(admin_user, "product.*", "brand.*", expand=True)
    product.delete()
    brand.delete()
    found = {event.type: event.data for event in follower.read()}
    assert set(found) == {"product.deleted", "brand.deleted"}
    deleted = found["product.deleted"]
    assert (deleted["id"], deleted["sku"], deleted["row"], deleted["changed"]) == (key, "TEA", None, None)
    assert found["brand.deleted"]["slug"] == "acme"


def test_a_draft_looks_deleted_to_whoever_may_not_see_it(admin_user: User, partner: User) -> None:
    product = make_product(sku="TEA")
    followers = [Follower(user, "product.*", "stock.updated", expand=True) for user in (admin_user, partner)]
    Product.objects.update(status="draft")
    Stock.objects.update(on_hand=9)
    everything, public = (follower.read() for follower in followers)
    assert {event.type for event in everything} == {"product.updated", "stock.updated"}
    [event] = public
    assert (event.type, event.data["id"], event.data["sku"], event.data["row"]) == (
        "product.deleted", product.pk, None, None,
    )  # fmt: skip


def test_filters_keep_what_matches_and_what_has_just_left(admin_user: User) -> None:
    acme, other = make_brand("Acme"), make_brand("Other")
    category = make_category("Food", "Tea")
    ours = make_product(brand=acme, category=category)
    make_product(brand=other, category=category)
    filters = LOG.read_filters({"brand": "acme", "category": ["food"], "status": "active"})
    follower = Follower(admin_user, "product.*", "price.updated", filters=filters)
    Product.objects.update(title="Tea")
    assert follower.list_types() == [("product.updated", ours.pk)]
    Product.objects.filter(pk=ours.pk).update(brand=other)
    assert follower.list_types() == [("product.updated", ours.pk)]
    Product.objects.update(title="Coffee")
    assert follower.list_types() == []
    Product.objects.filter(pk=ours.pk).update(brand=acme)
    Variant.objects.update(price=Decimal("1.00"))
    assert ("price.updated", ours.variants.get().pk) in follower.list_types()


def test_the_cursor_is_never_behind_an_event_that_was_not_told(
    admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "ROWS_AT_ONCE", 2)
    follower = Follower(admin_user, "product.*", "stock.updated", "brand.*")
    for _ in range(4):
        make_brand()
        make_product()
    Stock.objects.update(on_hand=5)
    found = follower.read()
    for event, following in itertools.pairwise(found):
        again = Follower(admin_user, *follower.webhook.events)
        again.webhook.position = event.reached
        rest = again.read()
        assert (following.type, following.data["id"]) in [(each.type, each.data["id"]) for each in rest]
    assert found[-1].reached == read_cursor()


def test_a_long_log_is_read_in_pieces(admin_user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "WINDOW", 3)
    follower = Follower(admin_user, "brand.*")
    brands = [make_brand() for _ in range(7)]
    make_product()
    read_cursor()
    told, pieces = [], 0
    while LOG.read(follower.webhook).has_more:
        told += follower.list_types()
        pieces += 1
    told += follower.list_types()
    assert told == [("brand.created", brand.pk) for brand in brands]
    assert pieces == 2


# -- orders and jobs ---------------------------------------------------------------------------------------------


def test_an_order_is_told_by_its_number_and_its_lines_are_its_own(admin_user: User) -> None:
    make_product(sku="TEA", stock=9)
    follower = Follower(admin_user, "order.*", expand=True)
    order = place_order(admin_user, [{"sku": "TEA", "quantity": 2}])
    [event] = follower.read()
    assert (event.type, event.data["number"], event.data["version"]) == ("order.created", order.number, 1)
    move_order(order, Order.Status.PAID)
    [event] = follower.read()
    assert (event.type, event.data["changed"]) == ("order.updated", ["status"])
    with connection.cursor() as cursor:  # as by psql
        cursor.execute("UPDATE accounts_orderline SET quantity = 3")
    [event] = follower.read()
    assert (event.data["id"], event.data["changed"], event.data["version"]) == (order.pk, ["lines"], 3)
    line = OrderLine.objects.get()
    OrderLine.objects.create(order=order, sku="X", title="X", price=1)
    line.delete()
    assert follower.list_types() == [("order.updated", order.pk)]
    order.delete()
    [event] = follower.read()
    assert (event.type, event.data["number"], event.data["row"]) == ("order.deleted", order.number, None)


def test_orders_of_others_are_told_to_whoever_may_view_them(admin_user: User, partner: User) -> None:
    make_product(sku="TEA", stock=9)
    follower = Follower(partner, "order.*")
    place_order(admin_user, [{"sku": "TEA", "quantity": 1}])
    own = place_order(partner, [{"sku": "TEA", "quantity": 1}])
    assert follower.list_types() == [("order.created", own.pk)]


def test_the_ends_of_own_jobs_are_told(admin_user: User, partner: User) -> None:
    follower = Follower(partner, "export.*", "import.*", expand=True)
    jobs = [
        ExportJob.objects.create(owner=owner, resource="products", format="csv", status="running")
        for owner in (partner, admin_user, partner, partner)
    ]
    ImportJob.objects.create(owner=partner)
    assert follower.read() == [], "nothing has ended"
    ExportJob.objects.filter(pk=jobs[2].pk).update(rows_done=5, percent=50)
    assert follower.read() == []
    for job in jobs[:2]:
        job.finish()
    jobs[2].fail("The disk is full.")
    jobs[3].cancel()
    ready, failed = follower.read()
    assert (ready.type, ready.data["id"], failed.type, failed.data["id"]) == (
        "export.ready", jobs[0].pk, "export.failed", jobs[2].pk,
    )  # fmt: skip
    assert orjson.loads(orjson.dumps(failed.data["row"]))["error"] == "The disk is full."
