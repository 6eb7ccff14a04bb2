"""Places that have stock: declared, sellable or not, and taken from by priority."""

import re
from collections.abc import Callable
from random import Random
from threading import Thread
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.test import TestCase
from rest_framework.test import APIClient

from accounts.errors import OutOfStock, WrongStep
from accounts.orders import move_order, place_order
from catalog import locations
from catalog.locations import settle_batch, settle_locations
from catalog.migrations import sql
from catalog.models import Location, Product, Stock
from catalog.writes.stored import find_undeclared
from tests.catalog.conftest import import_file
from tests.factories import make_caller, make_product, make_user
from tests.together import run_together

URL, STOCK = "/api/v1/locations/", "/api/v1/stock/bulk/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor() -> APIClient:
    return make_caller("Catalogue editor")


def stock_up(**pieces: int) -> Product:
    """A product with so many pieces at each location; those that aren't there are declared, sellable."""
    product = make_product(sku="TEA", stock=pieces.pop("main", 0))
    for code, number in pieces.items():
        Location.objects.get_or_create(code=code, defaults={"priority": Location.objects.count() + 1})
        Stock.objects.create(variant=product.variants.get(), location=code, on_hand=number)
    return product


def read_stock() -> dict[str, tuple[int, int]]:
    return {row.location: (row.on_hand, row.reserved) for row in Stock.objects.all()}


def is_sold(product: Product) -> bool:
    return Product.objects.values_list("in_stock", flat=True).get(pk=product.pk)


def take(product: Product, number: int, how: str = "reserve") -> bool:
    key = product.variants.get().pk
    changed: dict[int, Any] = getattr(Stock.objects.all(), how)({key: number})
    return changed.keys() == {key}


def test_orders_take_by_priority_and_give_back_from_the_last() -> None:
    product = stock_up(main=3, b=2, a=4)  # priorities 1, 2, 3
    Location.objects.create(code="shop", sellable=False, priority=0)
    Stock.objects.create(variant=product.variants.get(), location="shop", on_hand=9)
    assert take(product, 7)
    assert read_stock() == {"main": (3, 3), "b": (2, 2), "a": (4, 2), "shop": (9, 0)}
    assert not take(product, 3), "two are free"
    assert take(product, 3, "release")
    assert read_stock() == {"main": (3, 3), "b": (2, 1), "a": (4, 0), "shop": (9, 0)}
    assert take(product, 4, "ship")
    assert read_stock() == {"main": (0, 0), "b": (1, 0), "a": (4, 0), "shop": (9, 0)}
    assert not take(product, 1, "ship"), "none is reserved"
    assert Stock.objects.all().take_back({(product.variants.get().pk, "main"): 2})
    assert read_stock()["main"] == (2, 0)


def test_switching_a_location_moves_in_stock(editor: APIClient) -> None:
    product = stock_up(main=0, north=5)
    assert is_sold(product)
    with TestCase.captureOnCommitCallbacks(execute=True):
        answer = editor.patch(f"{URL}north/", {"sellable": False})
    assert (answer.status_code, answer.json()["sellable"]) == (200, False)
    assert not is_sold(product)
    Location.objects.filter(code="north").update(sellable=True)
    settle_locations()
    assert is_sold(product), "a trigger notes a change by SQL, and a worker follows"


def test_many_products_are_moved_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    Location.objects.create(code="north", priority=2)
    for number in range(5):
        Stock.objects.create(
            variant=make_product(sku=f"P{number}", stock=0).variants.get(), location="north", on_hand=1
        )
    assert Product.objects.filter(in_stock=True).count() == 5
    settle_locations()
    Location.objects.filter(code="north").update(sellable=False)
    version = Location.objects.get(code="north").version
    monkeypatch.setattr(locations, "BATCH_ROWS", 4)
    rounds = 0
    while settle_batch(4):
        rounds += 1
    assert (rounds, Product.objects.filter(in_stock=True).count()) == (4, 0)
    assert Location.objects.get(code="north").version == version


def test_a_place_that_nobody_declared_is_refused_with_the_near_one(editor: APIClient) -> None:
    stock_up(north=1)
    answer = editor.patch(STOCK, [{"sku": "TEA", "location": "nort", "on_hand": 1}])
    fault = answer.json()["errors"][0]
    assert (answer.status_code, fault["pointer"], fault["code"]) == (400, "/0/location", "not_found")
    assert "Did you mean north?" in fault["detail"]


def test_an_import_declares_what_it_names_and_says_so(editor: APIClient) -> None:
    job = import_file(editor, b"sku,title,price,stock,location\nA,Lamp,1.50,3,Berlin\n")
    assert job.report["locations"] == {"created": 1}
    assert Location.objects.values_list("sellable", "priority").get(code="berlin") == (True, 2)
    assert Product.objects.get(sku="A").in_stock


def test_locations_are_written_like_other_rows(editor: APIClient, client: APIClient) -> None:
    made = editor.post(URL, {"code": "North", "name": "The north"})
    assert made.status_code == 201, made.content
    assert (made.json()["code"], made.json()["priority"], made.json()["sellable"]) == ("north", 2, True)
    assert editor.post(URL, {"code": "north"}).status_code == 409
    assert [row["code"] for row in client.get(URL).json()["results"]] == ["main", "north"]
    assert editor.patch(f"{URL}north/", {"code": "south"}).json()["errors"][0]["pointer"] == "/code"
    assert editor.patch(f"{URL}north/", {"priority": 1}, headers={"If-Match": 'W/"9.x"'}).status_code == 412
    stock_up(main=1, north=1)
    assert editor.delete(f"{URL}north/").status_code == 409
    Stock.objects.filter(location="north").delete()
    assert editor.delete(f"{URL}north/").status_code == 204
    assert editor.delete(f"{URL}main/").status_code == 409
    assert client.post(URL, {"code": "x"}).status_code == 401


def test_a_location_with_stock_keeps_its_code_whoever_writes() -> None:
    stock_up(north=1)
    for change in (
        lambda: Location.objects.filter(code="north").delete(),
        lambda: Location.objects.filter(code="north").update(code="south"),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


def test_stock_at_no_location_is_not_sold_and_doctor_says_so() -> None:
    product = make_product(stock=3)
    Stock.objects.update(location="nowhere")
    assert not is_sold(product)
    [(detail, _)] = find_undeclared()
    assert "nowhere" in detail
    Location.objects.create(code="nowhere")
    settle_locations()
    assert is_sold(product)
    assert not list(find_undeclared())


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_a_switch_waits_for_stock_that_is_being_written() -> None:
    product = stock_up(main=0, north=0)
    Stock.objects.filter(location="north").delete()
    settle_locations()
    settling = Thread(target=run_apart, args=(settle_locations,))
    with transaction.atomic():
        Stock.objects.create(variant=product.variants.get(), location="north", on_hand=1)
        run_in_thread(lambda: Location.objects.filter(code="north").update(sellable=False))
        settling.start()
        settling.join(0.3)
    settling.join()
    assert not is_sold(product)


def run_in_thread(call: Callable[[], Any]) -> None:
    thread = Thread(target=run_apart, args=(call,))
    thread.start()
    thread.join()


def run_apart(call: Callable[[], Any]) -> None:
    try:
        call()
    finally:
        connections.close_all()


def order_one(user: Any) -> bool:
    try:
        place_order(user, [{"sku": "TEA", "quantity": 1}])
    except OutOfStock:
        return False
    return True


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_many_orders_over_three_locations_take_exactly_what_is_there() -> None:
    product = stock_up(main=5, a=7, b=8)
    users = [make_user() for _ in range(4)]
    sold = run_together([lambda user=user: order_one(user) for user in users * 10])
    assert sold.count(True) == 20
    assert read_stock() == {"main": (5, 5), "a": (7, 7), "b": (8, 8)}
    assert not is_sold(product)


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
def test_500_orders_over_three_locations_for_100_pieces() -> None:
    stock_up(main=30, a=30, b=40)
    users = [make_user() for _ in range(10)]
    sold = run_together([lambda user=user: order_one(user) for user in users * 50])
    assert sold.count(True) == 100
    assert sum(reserved for _, reserved in read_stock().values()) == 100


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_adjustments_and_orders_crossed_are_right_to_the_piece() -> None:
    stock_up(main=20, a=20)
    user, caller = make_user(), make_caller("Catalogue editor")

    def adjust(code: str, number: int) -> int:
        answer = caller.patch(STOCK, [{"sku": "TEA", "location": code, "adjust": number}])
        return number if answer.status_code == 200 else 0

    def sell() -> int:
        if not order_one(user):
            return 0
        order = user.orders.filter(status="placed").order_by("?").first()
        try:
            move_order(order, "paid")
            move_order(order, "shipped")
        except WrongStep:
            return 0
        return -1

    chance = Random(5)
    changes = [(chance.choice(["main", "a"]), chance.choice([-3, 2])) for _ in range(16)]
    calls: list[Any] = [sell] * 16
    calls += [lambda change=change: adjust(*change) for change in changes]
    moved = run_together(calls)
    left = sum(on_hand for on_hand, _ in read_stock().values())
    assert left == 40 + sum(moved)


def test_the_migration_joins_codes_and_sells_what_was_sold_before() -> None:
    Location.objects.all().delete()
    product, other = make_product(stock=1), make_product(stock=0)
    variant, beside = product.variants.get(), other.variants.get()
    for row, code, number in ((variant, "Main", 2), (variant, "North", 3), (variant, "NORTH", 4), (beside, "South", 5)):
        Stock.objects.create(variant=row, location=code, on_hand=number, reserved=1)
    [script] = [path.read_text() for path in sql.FOLDER.glob(f"*_locations.{connection.vendor}.sql")]
    rows = script[script.index("-- What an older") : script.index("-- From here on")]
    with connection.cursor() as cursor:
        for statement in filter(str.strip, re.sub(r"^--.*$", "", rows, flags=re.MULTILINE).split(";")):
            cursor.execute(statement)
    found = set(Stock.objects.values_list("variant", "location", "on_hand", "reserved"))
    assert found == {
        (variant.pk, "main", 3, 1), (variant.pk, "north", 7, 2), (beside.pk, "main", 0, 0), (beside.pk, "south", 5, 1),
    }  # fmt: skip
    assert dict(Location.objects.values_list("code", "sellable")) == {"main": True, "north": False, "south": False}
    settle_locations()
    assert (is_sold(product), is_sold(other)) == (True, False)
