"""Whoever writes, and however: the change log has it, with who it was and the row before."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from catalog.changes.log import keep_log, number_changes, purge_changes
from catalog.imports.readers import open_source
from catalog.imports.runs import ImportRun
from catalog.models import Brand, Category, Change, Image, Product, ProductText, Stock, Variant
from tests.clusters import migrate
from tests.factories import make_brand, make_category, make_product
from tests.launching import copy_tables

pytestmark = pytest.mark.django_db

ON_POSTGRESQL = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="PostgreSQL's: TEST_BACKEND=production")

type Line = tuple[str, int, str]


@contextmanager
def read_log() -> Iterator[list[Change]]:
    """What is logged within the block, in its order."""
    number_changes()
    newest = Change.objects.values_list("position", flat=True).first() or 0
    found: list[Change] = []
    yield found
    number_changes()
    found += Change.objects.filter(position__gt=newest).order_by("position")


def list_lines(changes: list[Change]) -> set[Line]:
    lines = [(change.entity, change.entity_id, change.op) for change in changes]
    assert len(lines) == len(set(lines)), "a change is logged once"
    return set(lines)


# -- each write path ---------------------------------------------------------------------------------------------


def test_a_saved_row_is_logged_with_the_row_before() -> None:
    product = make_product(title="Old")
    with read_log() as log:
        product.title = "New"
        product.save()
    product.refresh_from_db()
    [change] = log
    assert (change.entity, change.entity_id, change.op) == ("product", product.pk, "update")
    assert (change.version, change.sku, change.product_id) == (product.version, product.sku, product.pk)
    assert change.before["title"] == "Old"
    assert change.before["version"] == product.version - 1


def test_update_logs_each_row_and_no_row_that_stays_as_it_is() -> None:
    one, two = make_product(rating="4.00"), make_product(rating="3.00")
    with read_log() as log:
        Product.objects.update(rating=Decimal("3.00"))
    assert list_lines(log) == {("product", one.pk, "update")}
    with read_log() as log:
        Product.objects.update(rating=Decimal("3.00"), version=7)
        two.save()
        Stock.objects.update(on_hand=1)
    assert not log


def test_bulk_create_and_bulk_update_log_each_row() -> None:
    product = make_product()
    with read_log() as log:
        images = Image.objects.bulk_create(
            Image(product=product, url=f"https://i.example/{n}", position=9) for n in "ab"
        )
    assert list_lines(log) == {("image", image.pk, "create") for image in images}
    assert {(change.product_id, change.before) for change in log} == {(product.pk, None)}
    for image in images:
        image.alt = "A view"
    with read_log() as log:
        Image.objects.bulk_update(images, ["alt"])
    assert list_lines(log) == {("image", image.pk, "update") for image in images}
    assert {change.before["alt"] for change in log} == {""}


def test_an_upsert_logs_what_is_new_and_what_differs() -> None:
    product = make_product(images=2)
    first, second = product.images.all()
    first.alt = "New"
    with read_log() as log:
        Image.objects.bulk_create(
            [first, second], update_conflicts=True, unique_fields=["pk"], update_fields=["alt", "position"]
        )
    assert list_lines(log) == {("image", first.pk, "update")}


def test_a_derived_column_is_one_change_of_the_product() -> None:
    product = make_product(price="9.00", stock=2)
    variant = product.variants.get()
    with read_log() as log:
        Variant.objects.update(price=Decimal("5.00"))
    assert list_lines(log) == {("variant", variant.pk, "update"), ("product", product.pk, "update")}
    [of_product] = [change for change in log if change.entity == "product"]
    product.refresh_from_db()
    assert (Decimal(str(of_product.before["price"])), of_product.version) == (9, product.version)
    with read_log() as log:
        Stock.objects.update(on_hand=0)
    [of_stock] = [change for change in log if change.entity == "stock"]
    assert list_lines(log) == {("stock", of_stock.entity_id, "update"), ("product", product.pk, "update")}
    assert (of_stock.sku, of_stock.product_id, of_stock.version) == (variant.sku, product.pk, 2)


def test_a_text_is_a_change_of_its_own_and_one_of_its_product() -> None:
    product = make_product(description="Old")
    with read_log() as log:
        ProductText.objects.update(description="New")
    assert list_lines(log) == {("text", product.pk, "update"), ("product", product.pk, "update")}
    [text] = [change for change in log if change.entity == "text"]
    assert text.before == {"product_id": product.pk, "description": "Old", "seo_title": "", "seo_description": ""}


def test_brands_and_categories_are_logged_and_a_path_that_follows_is_not() -> None:
    tea, home, brand = make_category("Food", "Tea"), make_category("Home"), make_brand("Acme")
    with read_log() as log:
        Category.objects.filter(slug="food").update(parent=home)
        Brand.objects.update(name="New")
    food = tea.parent_id
    assert list_lines(log) == {("category", food, "update"), ("brand", brand.pk, "update")}
    assert [change.before["parent_id"] for change in log if change.entity == "category"] == [None]
    with read_log() as log:
        Brand.objects.all().delete()
    assert list_lines(log) == {("brand", brand.pk, "delete")}


def test_a_cascade_logs_every_row_that_goes() -> None:
    product = make_product(variants=2, images=1)
    variants, stock = list(product.variants.all()), list(Stock.objects.all())
    image, key = product.images.get(), product.pk
    with read_log() as log:
        product.delete()
    gone = {("product", key, "delete"), ("text", key, "delete"), ("image", image.pk, "delete")}
    gone |= {("variant", row.pk, "delete") for row in variants} | {("stock", row.pk, "delete") for row in stock}
    assert list_lines(log) == gone
    assert all(change.before for change in log)
    assert {change.product_id for change in log if change.entity != "stock"} == {key}


def test_raw_sql_is_logged_under_the_role_of_the_database() -> None:
    product = make_product()
    with read_log() as log, connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_product SET title = 'By hand'")
    assert list_lines(log) == {("product", product.pk, "update")}
    assert log[0].before["title"] == product.title
    role = f"role:{connection.settings_dict['USER']}" if connection.vendor == "postgresql" else ""
    assert (log[0].actor, log[0].request_id) == (role, "")


@ON_POSTGRESQL
def test_copy_is_logged() -> None:
    with read_log() as log, connection.cursor() as cursor:
        columns = "id, name, slug, version, created_at, updated_at"
        with cursor.copy(f"COPY catalog_brand ({columns}) FROM STDIN") as copy:
            for number in (901, 902):
                copy.write_row((number, f"Brand {number}", f"brand-{number}", 1, timezone.now(), timezone.now()))
    assert list_lines(log) == {("brand", 901, "create"), ("brand", 902, "create")}


@ON_POSTGRESQL
@pytest.mark.django_db(transaction=True)
def test_truncate_leaves_one_line_a_table() -> None:
    make_product()
    with read_log() as log, connection.cursor() as cursor:
        cursor.execute("TRUNCATE catalog_image, catalog_stock")
    assert list_lines(log) == {("image", 0, "truncate"), ("stock", 0, "truncate")}


@pytest.mark.parametrize("keeps", [True, False])
def test_an_import_is_logged_with_the_rows_before_unless_it_is_told_not_to(keeps: bool, settings: Any) -> None:
    settings.IMPORT_KEEPS_BEFORE = keeps
    product = make_product(title="Old")
    content = f"sku,title,price\n{product.sku},New,10.00\nNEW,Other,1.00\n".encode()
    with read_log() as log:
        for _ in ImportRun(open_source(BytesIO(content), "file.csv")).take_steps():
            pass
    new = Product.objects.get(sku="NEW")
    ops = {(change.entity, change.entity_id, change.op) for change in log if change.entity == "product"}
    assert ops == {("product", product.pk, "update"), ("product", new.pk, "create")}
    assert {change.before is not None for change in log if change.op == "update"} == {keeps}


def test_a_primary_key_cannot_change() -> None:
    make_product()
    for table, key in (("product", "id"), ("producttext", "product_id"), ("stock", "id"), ("image", "id")):
        with pytest.raises(IntegrityError, match="for life"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE catalog_{table} SET {key} = {key} + 1000")


# -- who ---------------------------------------------------------------------------------------------------------


def test_a_write_of_the_api_names_the_caller_and_the_request(staff: APIClient, admin_user: User) -> None:
    body = {"sku": "TEA-1", "title": "Tea", "price": "4.50", "images": [{"url": "https://i.example/1"}]}
    with read_log() as log:
        created = staff.post("/api/v1/products/", body, headers={"X-Request-ID": "first"})
        changed = staff.patch(
            f"/api/v1/products/{created.json()['id']}/", {"price": "5.00"}, headers={"X-Request-ID": "second"}
        )
        gone = staff.delete(f"/api/v1/products/{created.json()['id']}/", headers={"X-Request-ID": "third"})
    assert (created.status_code, changed.status_code, gone.status_code) == (201, 200, 204)
    assert {change.actor for change in log} == {f"user:{admin_user.pk}"}
    second = {(change.entity, change.op) for change in log if change.request_id == "second"}
    assert second == {("variant", "update"), ("product", "update")}
    assert {change.op for change in log if change.request_id == "third"} == {"delete"}


def test_a_write_of_the_admin_names_its_user(admin_client: Client, admin_user: User) -> None:
    draft = make_product(status="draft")
    data = {"action": "publish", "_selected_action": [draft.pk], "confirmed": "1"}
    with read_log() as log:
        admin_client.post(reverse("admin:catalog_product_changelist"), data, headers={"X-Request-ID": "click"})
    assert [(change.op, change.actor, change.request_id) for change in log] == [
        ("update", f"user:{admin_user.pk}", "click")
    ]
    assert log[0].before["status"] == "draft"


@pytest.mark.django_db(transaction=True)
def test_each_transaction_of_a_request_is_signed_and_nothing_stays_on_the_connection(
    admin_client: Client, admin_user: User
) -> None:
    # An UPDATE and a DELETE outside any transaction, each a request.
    drafts, brand = [make_product(status="draft") for _ in range(2)], make_brand("Acme")
    products, brands = (reverse(f"admin:catalog_{name}_changelist") for name in ("product", "brand"))
    with read_log() as log:
        keys = [draft.pk for draft in drafts]
        admin_client.post(products, {"action": "publish", "_selected_action": keys, "confirmed": "1"})
        admin_client.post(brands, {"action": "delete_selected", "_selected_action": [brand.pk], "post": "yes"})
    assert [change.op for change in log] == ["update", "update", "delete"]
    assert {change.actor for change in log} == {f"user:{admin_user.pk}"}
    assert all(change.request_id for change in log)
    with read_log() as log:
        Product.objects.update(title="By nobody")
    assert {(change.actor.partition(":")[0], change.request_id) for change in log} <= {("role", ""), ("", "")}


def test_a_reader_is_not_named_as_the_next_writer(admin_client: Client, client: APIClient) -> None:
    brand = make_brand("Acme")
    admin_client.get(reverse("admin:catalog_brand_change", args=[brand.pk]))
    with read_log() as log:
        Brand.objects.update(name="By nobody")
    assert not log[0].actor.startswith("user:")


# -- kept --------------------------------------------------------------------------------------------------------


@ON_POSTGRESQL
@pytest.mark.parametrize("table", ["catalog_change", "catalog_change_inbox"])
@pytest.mark.parametrize("write", ["UPDATE {} SET actor = 'nobody'", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_log_refuses_to_be_changed(table: str, write: str) -> None:
    make_brand("One")
    number_changes()
    make_brand("Two")
    refusal = pytest.raises(ProgrammingError, match="the change log is kept")
    with connection.cursor() as cursor, refusal, transaction.atomic():
        cursor.execute(write.format(table))
    number_changes()
    assert Change.objects.count() == 2


def test_no_line_of_the_log_is_rewritten() -> None:
    make_brand("One")
    number_changes()
    with pytest.raises((ProgrammingError, IntegrityError), match="the change log is kept"), transaction.atomic():
        Change.objects.update(actor="nobody")


@ON_POSTGRESQL
def test_nobody_can_forge_a_log_entry() -> None:
    with pytest.raises(ProgrammingError, match="the change log is kept"), transaction.atomic():
        Change.objects.create(entity="brand", entity_id=1, op="delete", at=timezone.now(), numbered_at=timezone.now())


REVOKED = """
CREATE ROLE shop LOGIN;
GRANT shop TO CURRENT_USER;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO shop;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO shop;
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON catalog_change, catalog_change_inbox FROM shop;
REVOKE EXECUTE ON FUNCTION catalog_purge_changes FROM PUBLIC;
"""


@ON_POSTGRESQL
@pytest.mark.django_db(transaction=True)
def test_a_role_without_rights_on_the_log_writes_the_catalogue_and_its_changes() -> None:
    brand = make_brand("Acme")
    names = {"host": "HOST", "port": "PORT", "dbname": "NAME"}
    address = {name: connection.settings_dict[key] for name, key in names.items()}
    with connection.cursor() as cursor:
        cursor.execute(REVOKED)
    try:
        with psycopg.connect(**address, user="shop", autocommit=True) as shop, read_log() as log:
            shop.execute("UPDATE catalog_brand SET name = 'New'")
            numbered: Any = shop.execute("SELECT catalog_number_changes(100)").fetchone()
            assert numbered[0] > 0
            shop.execute("SET tenfold.change_log = 'open'")  # opens nothing to who has no right
            for write in (
                "DELETE FROM catalog_change",
                "UPDATE catalog_change SET actor = ''",
                "TRUNCATE catalog_change",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    shop.execute(write)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                shop.execute("SELECT catalog_purge_changes(now(), 100)")
    finally:
        with connection.cursor() as cursor:
            cursor.execute(
                "GRANT EXECUTE ON FUNCTION catalog_purge_changes TO PUBLIC; DROP OWNED BY shop; DROP ROLE shop"
            )
    assert [(change.entity_id, change.actor) for change in log] == [(brand.pk, "role:shop")]


@pytest.fixture
def plain_owner() -> Iterator[str]:
    """The address of an empty database whose owner may do nothing else."""
    root_url = os.environ["SUPERUSER_URL"]
    with psycopg.connect(root_url, autocommit=True) as root:
        root.execute("CREATE ROLE plain LOGIN")
        root.execute("CREATE DATABASE plain OWNER plain")
        address = urlsplit(root_url)
        yield address._replace(netloc=f"plain@{address.netloc.rpartition('@')[2]}", path="/plain").geturl()
        root.execute("DROP DATABASE plain WITH (FORCE)")
        root.execute("DROP ROLE plain")


@ON_POSTGRESQL
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("make_tables", [copy_tables, pytest.param(migrate, marks=pytest.mark.faults)])
def test_a_plain_owner_sets_all_up_numbers_and_purges(make_tables: Callable[[str], None], plain_owner: str) -> None:
    """Whether it makes each table, function and trigger at once, or by the migrations, which take 6 s of CPU."""
    make_tables(plain_owner)
    insert = "INSERT INTO catalog_brand (slug, name, version, created_at, updated_at) VALUES (%s, '', 1, now(), now())"
    with psycopg.connect(plain_owner) as owner:
        for slug in ("acme", "brio"):
            owner.execute(insert, (slug,))
        assert owner.execute("SELECT catalog_number_changes(100)").fetchone() == (2,)
        assert owner.execute("SELECT catalog_purge_changes(now() + interval '1 day', 100)").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute("DELETE FROM catalog_change")  # what a function opened it has shut again


def test_a_worker_s_beat_numbers_what_waits_and_deletes_what_is_too_old(settings: Any) -> None:
    for number in range(3):
        make_brand(f"Brand {number}")
    keep_log()
    newest = Change.objects.values_list("position", flat=True).first()
    number_changes()
    assert Change.objects.filter(position__gt=newest).count() == 0
    assert Change.objects.count() >= 3
    settings.CHANGE_RETENTION_DAYS = 0
    keep_log()
    assert list(Change.objects.values_list("position", flat=True)) == [newest]


def test_the_purge_takes_the_oldest_in_batches_and_leaves_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.changes.log.PURGE_BATCH", 3)
    for number in range(5):
        make_brand(f"Brand {number}")
    number_changes()
    past, future = timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=1)
    assert purge_changes(past) == 0
    first = Change.objects.order_by("position").first()
    assert first is not None
    assert purge_changes(future) == 3
    assert Change.objects.order_by("position").values_list("position", flat=True)[0] == first.position + 3
    assert [purge_changes(future), purge_changes(future)] == [1, 0]
    newest = Change.objects.get().position
    make_brand("Next")
    number_changes()
    assert Change.objects.first().position == newest + 1  # type: ignore[union-attr]  # it is there
