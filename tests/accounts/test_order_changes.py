"""Orders, their lines and the ends of jobs in the change log: all is logged, and shown to whom it concerns."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Order, OrderLine, User
from accounts.orders import place_order
from catalog.changes.entities import list_covered, list_tables
from catalog.changes.feed import read_cursor
from catalog.models import Change, ImportJob, Product
from exports.models import ExportJob
from tests.exports.conftest import read_body
from tests.factories import make_product, make_user

pytestmark = pytest.mark.django_db

URL = "/api/v1/changes/"


@pytest.fixture
def partner(db: None) -> User:
    return make_user("Export partner")


@pytest.fixture
def order(partner: User) -> Order:
    """Somebody else's."""
    make_product(sku="TEA", stock=9)
    return place_order(make_user(), [{"sku": "TEA", "quantity": 2}])


def sign_in(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def let_view(user: User, name: str) -> User:
    user.user_permissions.add(Permission.objects.get(codename=name))
    return User.objects.get(pk=user.pk)  # who hasn't read the permissions yet


def list_rows(client: APIClient, **query: Any) -> list[tuple[str, int, str]]:
    found = client.get(URL, query).json()["results"]
    return [(row["entity"], row["entity_id"], row["op"]) for row in found]


VALUES: dict[str, Any] = {
    "number": "T-2", "status": "paid", "currency": "EUR", "subtotal": 8, "total": 9, "quantity": 4, "sku": "NEW",
    "title": "New", "price": 3, "note": "Ring twice", "reference": "PO-7", "request_hash": "ab",
    "shipping_address": {"city": "Bath"}, "billing_address": {"city": "York"}, "shipped": 2, "returned": 1,
    "return_reason": "damaged", "sent_from": {"main": 1},
    "placed_at": timezone.now() - timedelta(days=1),
}  # fmt: skip


def test_each_column_is_logged_and_counted(order: Order, partner: User) -> None:
    other = Order.objects.create(number="T-1", user=partner)
    OrderLine.objects.update(shipped=1)
    for model in (Order, OrderLine):
        for field in model._meta.concrete_fields:
            if field.name in ("id", "version", "updated_at", "product", "variant"):
                continue
            row: Any = model._default_manager.filter(pk=order.pk if model is Order else order.lines.get().pk)
            counted = Order.objects.get(pk=order.pk)
            cursor = read_cursor()
            value = {"user": partner.pk, "order": other.pk}.get(field.name, VALUES.get(field.name))
            row.update(**{field.attname: value})
            read_cursor()
            [change] = Change.objects.filter(position__gt=cursor, entity="order" if model is Order else "order_line")
            assert change.op == "update", field.name
            assert change.before[field.column] != value, field.name
            if field.name != "order":
                now = Order.objects.get(pk=order.pk)
                assert (now.version, now.updated_at >= counted.updated_at) == (counted.version + 1, True), field.name
            row.update(**{field.attname: getattr(counted, field.attname, None) or change.before[field.column]})


def test_a_deleted_product_changes_no_order(order: Order) -> None:
    cursor = read_cursor()
    Product.objects.all().delete()
    assert OrderLine.objects.get().product_id is None
    read_cursor()
    assert not Change.objects.filter(position__gt=cursor, entity__startswith="order").exists()
    order.refresh_from_db()
    assert order.version == 1


def test_whoever_may_view_orders_follows_them(order: Order, partner: User) -> None:
    line = order.lines.get()
    wanted = [("order", order.pk, "create"), ("order_line", line.pk, "create")]
    assert list_rows(sign_in(partner), entity="order,order_line") == []
    may_view = let_view(let_view(partner, "view_order"), "view_orderline")
    assert list_rows(sign_in(may_view), entity="order,order_line") == wanted
    Order.objects.all().delete()
    assert set(list_rows(sign_in(may_view), entity="order,order_line")) >= {("order", order.pk, "delete")}
    assert list_rows(sign_in(make_user("Export partner")), entity="order") == []


def test_ones_own_order_is_seen_without_that_permission(order: Order, partner: User) -> None:
    own = place_order(partner, [{"sku": "TEA", "quantity": 1}])
    assert list_rows(sign_in(partner), entity="order") == [("order", own.pk, "create")]
    answer = sign_in(partner).get("/api/v1/exports/changes.ndjson?entity=order&trailer=0")
    assert [orjson.loads(line)["entity_id"] for line in read_body(answer).splitlines()] == [own.pk]


def test_an_export_of_orders_tells_from_where_to_follow(order: Order) -> None:
    support = let_view(make_user("Support"), "export_product")
    answer = sign_in(support).get("/api/v1/exports/orders.ndjson")
    assert orjson.loads(read_body(answer).splitlines()[-1])["changes_cursor"] == str(read_cursor())


def test_the_end_of_a_job_is_logged_for_its_owner(partner: User) -> None:
    cursor = read_cursor()
    job = ExportJob.objects.create(owner=partner, resource="products", format="csv", status="running")
    others = ImportJob.objects.create(owner=make_user("Catalogue editor"), status="running")
    job.begin()
    ExportJob.objects.update(rows_done=7, percent=70)
    assert read_cursor() == cursor, "only the end is logged"
    for ended in (job, others):
        ended.finish()
    client = sign_in(partner)
    assert list_rows(client, after=cursor) == [("export", job.pk, "update")]
    job.discard()
    assert list_rows(client, after=cursor) == []
    assert list_rows(sign_in(let_view(partner, "view_importjob")), after=cursor) == [("import", others.pk, "update")]


@pytest.mark.parametrize("may", [True, False])
def test_the_admin_shows_orders_in_the_log_to_whoever_may_view_them(may: bool, order: Order) -> None:
    auditor = let_view(User.objects.create_user("audit@example.com", "x", is_staff=True), "view_change")
    if may:
        let_view(auditor, "view_order")
    client = Client()
    client.force_login(User.objects.get(pk=auditor.pk))
    change = Change.objects.filter(entity="order")
    read_cursor()
    listed = client.get("/admin/catalog/change/?entity=order").content.decode()
    assert (f"/admin/catalog/change/{change.get().pk}/" in listed) is may
    assert client.get(f"/admin/catalog/change/{change.get().pk}/change/").status_code == (200 if may else 302)


def test_the_log_covers_whole_tables_only_where_it_has_every_change() -> None:
    assert {"accounts_order", "accounts_orderline", "catalog_product"} <= list_covered()
    assert set(list_tables().values()) - list_covered() == {"exports_exportjob", "catalog_importjob"}
