"""What the triggers keep true while two writers are at it; on SQLite there is only one at a time."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connection

from catalog.models import Category, Stock, Variant
from tests.factories import make_category, make_product

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


@contextmanager
def open_session() -> Iterator[psycopg.Connection[Any]]:
    names = {"host": "HOST", "port": "PORT", "user": "USER", "dbname": "NAME"}
    address = {name: connection.settings_dict[key] for name, key in names.items()}
    # A test that is wrong fails, where two sessions would wait for each other for ever.
    with psycopg.connect(**address, options="-c lock_timeout=5s") as session:
        yield session


def write_together(first: str, second: str) -> None:
    """`second` is written while `first` isn't committed yet; each in a transaction of its own."""
    with open_session() as one, open_session() as two, ThreadPoolExecutor(1) as pool:
        one.execute(first)
        written = pool.submit(two.execute, second)
        wait_for_block(two.info.backend_pid, written)
        one.commit()
        written.result(timeout=10)
        two.commit()


def wait_for_block(pid: int, written: Future[Any]) -> None:
    """Until the session waits for a lock, or has got through without one."""
    with connection.cursor() as cursor:
        while not written.done():
            cursor.execute("SELECT pg_blocking_pids(%s)", [pid])
            if cursor.fetchone()[0]:
                return
            time.sleep(0.01)  # nothing tells when another session begins to wait


def test_two_prices_at_once_leave_the_lower_one() -> None:
    product = make_product(price="10.00", variants=2)
    one, two = Variant.objects.filter(product=product)
    write = "UPDATE catalog_variant SET price = {} WHERE id = {}"
    write_together(write.format(3, one.pk), write.format(5, two.pk))
    product.refresh_from_db()
    assert product.price == Decimal("3.00")


def test_two_last_pieces_sold_at_once_empty_the_stock() -> None:
    product = make_product(variants=2)
    one, two = Stock.objects.filter(variant__product=product)
    write = "UPDATE catalog_stock SET reserved = on_hand WHERE id = {}"
    write_together(write.format(one.pk), write.format(two.pk))
    product.refresh_from_db()
    assert not product.in_stock


def test_two_images_deleted_at_once_leave_no_image_url() -> None:
    product = make_product(images=2)
    one, two = product.images.all()
    write = "DELETE FROM catalog_image WHERE id = {}"
    write_together(write.format(one.pk), write.format(two.pk))
    product.refresh_from_db()
    assert product.image_url == ""


def test_a_category_created_while_its_parent_moves_moves_too() -> None:
    drinks, home = make_category("Food", "Drinks"), make_category("Home")
    move = f"UPDATE catalog_category SET parent_id = {home.pk} WHERE id = {drinks.parent_id}"
    columns = "parent_id, name, slug, path, version, created_at, updated_at"
    insert = f"INSERT INTO catalog_category ({columns}) VALUES ({drinks.pk}, 'Tea', 'tea', '', 1, now(), now())"
    write_together(move, insert)
    assert Category.objects.subtree("home").filter(slug="tea").exists()


def test_two_moves_at_once_make_no_circle() -> None:
    food, home = make_category("Food"), make_category("Home")
    move = "UPDATE catalog_category SET parent_id = {} WHERE id = {}"
    with pytest.raises(psycopg.errors.CheckViolation):
        write_together(move.format(food.pk, home.pk), move.format(home.pk, food.pk))
    assert Category.objects.get(pk=food.pk).parent_id is None
