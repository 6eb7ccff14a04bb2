"""`manage.py seed`: the same rows everywhere, up to a number, with nothing left for the triggers to mend."""

import json
import time
from io import StringIO
from itertools import chain
from signal import SIGKILL
from threading import get_ident
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Min

from catalog.changes.log import number_all
from catalog.models import Attribute, Brand, Category, Change, Image, Location, Product, ProductText, Stock, Variant
from catalog.seeding import fill
from catalog.seeding.fill import count_seeded, put_up_shelves, undo_in_memory
from catalog.seeding.rows import MOST_VARIANTS, make_product, make_sku
from tests.launching import find_database_url, run_command

pytestmark = pytest.mark.django_db


def seed(products: int) -> dict[str, float]:
    out = StringIO()
    call_command("seed", products=products, json=True, stdout=out)
    report: dict[str, float] = json.loads(out.getvalue())
    return report


def test_a_number_is_always_the_same_product() -> None:
    assert make_product(4711) == make_product(4711)
    assert make_product(4711) != make_product(4712)


@pytest.mark.slow
def test_seed_adds_up_to_the_number() -> None:
    assert seed(30)["added"] == 30
    assert seed(50) | {"seconds": 0} == {"before": 30, "added": 20, "seconds": 0}
    assert Product.objects.count() == count_seeded() == 50


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "BATCH", dict.fromkeys(fill.BATCH, 10))


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.usefixtures("small_batches")
def test_two_write_at_once_and_commit_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    seed(5)  # into an empty catalogue one writes
    threads, write = set(), fill.write_batch

    def note(numbers: range, shelves: fill.Shelves) -> int:
        threads.add(get_ident())
        if numbers[0] % 20 == 6:
            time.sleep(0.02)  # the other is done first
        assert count_seeded() < numbers[0]
        return write(numbers, shelves)

    monkeypatch.setattr(fill, "write_batch", note)
    assert seed(95)["added"] == 90
    assert list(Product.objects.order_by("sku").values_list("sku", flat=True)) == list(map(make_sku, range(1, 96)))
    assert len(threads) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("failing", [6, 16, 96])
def test_after_a_batch_that_fails_none_is_written_and_a_second_seed_goes_on(
    monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    seed(5)
    write = fill.write_batch

    def fail(numbers: range, shelves: fill.Shelves) -> int:
        if numbers[0] == failing:
            raise OSError("no room left")
        return write(numbers, shelves)

    monkeypatch.setattr(fill, "write_batch", fail)
    with pytest.raises(OSError, match="no room left"):
        seed(100)
    monkeypatch.setattr(fill, "write_batch", write)
    assert count_seeded() == Product.objects.count() == failing - 1
    assert seed(100)["added"] == 101 - failing
    assert Product.objects.count() == 100


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("small_batches")
def test_a_seed_that_is_stopped_ends_its_writers() -> None:
    seed(5)
    filling = fill.fill_catalogue(6, 1000)
    assert [next(filling) for _ in range(3)] == [10, 10, 10]
    filling.close()
    assert Product.objects.count() == count_seeded() < 100


# Indexes, foreign keys and triggers, as they are.
SCHEMA = {
    "postgresql": """
        SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indisvalid
        UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE convalidated
        UNION ALL SELECT tgname, tgenabled::text || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        ORDER BY 1, 2""",
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') ORDER BY 1",
}


def count_all() -> list[int]:
    return [model.objects.count() for model in (*MODELS, Brand, Category, Change)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("small_batches")
def test_a_seed_of_an_empty_catalogue_that_is_stopped_leaves_it_as_it_was() -> None:
    before, schema = count_all(), read(SCHEMA[connection.vendor])
    filling = fill.fill_catalogue(1, 1000)
    assert [next(filling) for _ in range(3)] == [10, 10, 10]
    filling.close()
    assert count_all() == before
    assert read(SCHEMA[connection.vendor]) == schema


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PRAGMA is SQLite's")
def test_what_undoes_a_statement_stays_in_memory_while_sqlite_is_filled() -> None:
    def read() -> int:
        with connection.cursor() as cursor:
            return int(cursor.execute("PRAGMA temp_store").fetchone()[0])

    with undo_in_memory():
        assert read() == 2
    assert read() == 0


def test_a_second_seed_changes_nothing_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    seed(20)
    before = list(Product.objects.order_by("pk").values())
    out = StringIO()
    call_command("seed", products=20, stdout=out)
    assert out.getvalue() == "Nothing to do: demo products up to number 20 were added before\n"
    assert list(Product.objects.order_by("pk").values()) == before


@pytest.mark.slow
def test_two_steps_give_the_rows_of_one() -> None:
    columns = (
        "sku",
        "title",
        "price",
        "compare_at_price",
        "rating",
        "status",
        "attributes",
        "created_at",
        "brand__slug",
    )
    seed(12)
    seed(40)
    in_two = list(Product.objects.order_by("sku").values(*columns))
    Product.objects.all().delete()
    seed(40)
    assert list(Product.objects.order_by("sku").values(*columns)) == in_two


def test_a_deleted_product_stays_deleted() -> None:
    seed(20)
    Product.objects.filter(sku="TF-00000007").delete()
    assert seed(20)["added"] == 0
    assert not Product.objects.filter(sku="TF-00000007").exists()


@pytest.mark.slow
@pytest.mark.parametrize("sellable", [{"main"}, {"main", "outlet"}])
def test_the_triggers_find_nothing_to_change(sellable: set[str]) -> None:
    put_up_shelves()
    Location.objects.filter(code__in=sellable).update(sellable=True)
    seed(300)
    # A trigger that had derived another price, stock or image would have moved the version.
    assert set(Product.objects.values_list("version", flat=True)) == {1}
    assert set(Variant.objects.values_list("version", flat=True)) == {1}
    for product in Product.objects.annotate(least=Min("variants__price")).prefetch_related("images", "variants__stock"):
        piles = [pile for variant in product.variants.all() for pile in variant.stock.all()]
        free = [pile.on_hand - pile.reserved for pile in piles if pile.location in sellable]
        assert product.price == product.least
        assert product.in_stock == any(pieces > 0 for pieces in free)
        assert product.image_url == next((image.url for image in product.images.all()), "")


DYING = """
import os, signal, django
django.setup()
from catalog.seeding import bare, fill
write = {module}.{name}
calls = []
def die(*values):
    calls.append(write(*values))
    if len(calls) == {calls}:
        os.kill(os.getpid(), signal.SIGKILL)
{module}.{name} = die
fill.BATCH = dict.fromkeys(fill.BATCH, 10)
list(fill.fill_catalogue(1, 100))
"""


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("dying", "products"), [
    ({"module": "fill", "name": "write_products", "calls": 3}, 0),
    ({"module": "bare", "name": "write_created", "calls": 1}, 0),
    ({"module": "fill", "name": "refresh_statistics", "calls": 1}, 100),
])  # fmt: skip
def test_a_seed_that_is_killed_leaves_an_empty_or_a_whole_catalogue(dying: dict[str, Any], products: int) -> None:
    before, schema = count_all(), read(SCHEMA[connection.vendor])
    variables = {"DATABASE_URL": find_database_url(), "DJANGO_SETTINGS_MODULE": "config.settings"}
    killed = run_command("-c", DYING.format(**dying), **variables)
    assert killed.returncode == -SIGKILL, killed.stderr
    assert read(SCHEMA[connection.vendor]) == schema
    assert (count_all() == before) is (products == 0)
    assert Product.objects.count() == products
    assert seed(100)["added"] == 100 - products
    assert Product.objects.count() == 100


MODELS = (Product, ProductText, Variant, Stock, Image)
PRICED = ("variant", "product")
# SQLite's search documents; PostgreSQL has them in columns.
DOCUMENTS = ("catalog_document", "catalog_parts") if connection.vendor == "sqlite" else ()


def read(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def mark() -> tuple[int, int, int]:
    """The last change, and the last reports of words and tallies."""
    number_all()
    return tuple(  # type: ignore[return-value]  # of three
        read(f"SELECT coalesce(max({key}), 0) FROM {table}")[0][0]
        for key, table in (
            ("position", "catalog_change"),
            ("id", "catalog_word_change"),
            ("id", "catalog_tallychange"),
        )
    )


def read_all(position: int, words: int, tallies: int) -> list[list[Any]]:
    """All that a row has, the columns that triggers write included, and what they wrote behind the marks."""
    changes = "SELECT entity, op, entity_id, version, sku, product_id, actor FROM catalog_change"
    return [
        *(read(f"SELECT * FROM {model._meta.db_table} ORDER BY 1") for model in MODELS),
        *(read(f"SELECT rowid, * FROM {table} ORDER BY 1") for table in DOCUMENTS),
        *(read(f"SELECT {kind}_id, price, currency FROM catalog_{kind}price ORDER BY 1") for kind in PRICED),
        read(
            f"SELECT category, kind, key, sum(number) FROM catalog_tallychange WHERE id > {tallies}"
            " GROUP BY 1, 2, 3 HAVING sum(number) <> 0 ORDER BY 1, 2, 3"
        ),
        read(f"SELECT words, sum(products) FROM catalog_word_change WHERE id > {words} GROUP BY 1 ORDER BY 1"),
        read(f"{changes} WHERE position > {position} ORDER BY 1, 2, 3"),
    ]


def check_one_by_one(monkeypatch: pytest.MonkeyPatch, is_bare: bool) -> None:
    monkeypatch.setattr(fill, "count_words", lambda: 0)  # counted words leave the table that is compared
    put_up_shelves()
    schema = read(SCHEMA[connection.vendor])
    seen: list[bool] = []
    lock = fill.lock_tables
    monkeypatch.setattr(fill, "lock_tables", lambda: seen.append(lock()) or seen[-1])
    marks = mark()
    seed(12)
    assert seen == [True] * is_bare
    mark()
    together, rows = read_all(*marks), [list(model.objects.order_by("pk")) for model in MODELS]
    assert read(SCHEMA[connection.vendor]) == schema
    connection.check_constraints()
    Product.objects.all().delete()
    marks = mark()
    for row in chain.from_iterable(rows):
        row.save(force_insert=True)
    mark()
    assert read_all(*marks) == together


@pytest.mark.slow
def test_triggers_do_the_same_for_rows_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    check_one_by_one(monkeypatch, is_bare=False)


@pytest.mark.django_db(transaction=True)
def test_a_seed_of_an_empty_catalogue_writes_what_triggers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    check_one_by_one(monkeypatch, is_bare=True)


@pytest.mark.slow
def test_the_data_is_as_various_as_a_shop() -> None:
    seed(600)
    products = Product.objects.all()
    assert set(products.values_list("status", flat=True)) == {"active", "draft", "archived"}
    assert products.filter(rating=0).exists()
    assert products.filter(rating__gt=4).exists()
    assert products.filter(compare_at_price=None).exists()
    assert products.filter(image_url="").exists()
    assert 0 < products.filter(in_stock=False).count() < 300
    assert Stock.objects.filter(location="outlet").exists()
    assert Image.objects.exclude(alt="").count() == Image.objects.count()
    assert {len(path) for path in Category.objects.values_list("path", flat=True)} == {10, 20, 30}
    assert Brand.objects.count() > 80
    days = sorted(products.values_list("created_at", flat=True))
    assert (days[-1] - days[0]).days > 600
    declared = set(Attribute.objects.values_list("name", flat=True))
    assert {name for attributes in products.values_list("attributes", flat=True) for name in attributes} == declared


def test_a_reduced_price_is_lower_than_the_old_one() -> None:
    demos = [make_product(number).columns for number in range(1, 500)]
    reduced = [columns for columns in demos if columns["compare_at_price"] is not None]
    assert reduced
    assert all(columns["compare_at_price"] > columns["price"] > 0 for columns in reduced)


def test_barcodes_are_valid_and_unique() -> None:
    codes = [variant["barcode"] for number in range(1, 300) for variant in make_product(number).variants]
    assert len(set(codes)) == len(codes)
    for code in codes:
        assert len(code) == 13
        assert sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(code)) % 10 == 0
    assert max(len(make_product(number).variants) for number in range(1, 300)) <= MOST_VARIANTS


@pytest.mark.parametrize("products", [0, -5, 100_000_000])
def test_an_impossible_number_is_refused(products: int) -> None:
    with pytest.raises(CommandError, match=f"--products {products}: expected a number from 1 to 99999999"):
        seed(products)
