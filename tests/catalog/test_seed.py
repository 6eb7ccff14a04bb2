"""`manage.py seed`: the same rows everywhere, up to a number, with nothing left for the triggers to mend."""

import json
import time
from io import StringIO
from itertools import chain
from threading import get_ident
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Min

from catalog.changes.log import number_all
from catalog.models import Attribute, Brand, Category, Image, Product, ProductText, Stock, Variant
from catalog.seeding import fill
from catalog.seeding.fill import count_seeded, put_up_shelves, undo_in_memory
from catalog.seeding.rows import MOST_VARIANTS, make_product, make_sku

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
    threads, write = set(), fill.write_batch

    def note(numbers: range, shelves: fill.Shelves) -> int:
        threads.add(get_ident())
        if numbers[0] % 20 == 1:
            time.sleep(0.02)  # the other is done first
        assert count_seeded() < numbers[0]
        return write(numbers, shelves)

    monkeypatch.setattr(fill, "write_batch", note)
    assert seed(95)["added"] == 95
    assert list(Product.objects.order_by("sku").values_list("sku", flat=True)) == list(map(make_sku, range(1, 96)))
    assert len(threads) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("failing", [1, 11, 91])
def test_after_a_batch_that_fails_none_is_written_and_a_second_seed_goes_on(
    monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
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
    filling = fill.fill_catalogue(1, 1000)
    assert [next(filling) for _ in range(3)] == [10, 10, 10]
    filling.close()
    assert Product.objects.count() == count_seeded() < 100


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
def test_the_triggers_find_nothing_to_change() -> None:
    seed(300)
    # A trigger that had derived another price, stock or image would have moved the version.
    assert set(Product.objects.values_list("version", flat=True)) == {1}
    assert set(Variant.objects.values_list("version", flat=True)) == {1}
    for product in Product.objects.annotate(least=Min("variants__price")).prefetch_related("images", "variants__stock"):
        piles = [pile for variant in product.variants.all() for pile in variant.stock.all()]
        free = [pile.on_hand - pile.reserved for pile in piles if pile.location == "main"]
        assert product.price == product.least
        assert product.in_stock == any(pieces > 0 for pieces in free)
        assert product.image_url == next((image.url for image in product.images.all()), "")


MODELS = (Product, ProductText, Variant, Stock, Image)
# SQLite's search documents; PostgreSQL has them in columns.
DOCUMENTS = ("catalog_document", "catalog_parts") if connection.vendor == "sqlite" else ()


def read(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def mark() -> tuple[int, int]:
    """The last change, and the last report of words."""
    number_all()
    return tuple(  # type: ignore[return-value]  # of two
        read(f"SELECT coalesce(max({key}), 0) FROM {table}")[0][0]
        for key, table in (("position", "catalog_change"), ("id", "catalog_word_change"))
    )


def read_all(position: int, words: int) -> list[list[Any]]:
    """All that a row has, the columns that triggers write included, and what they wrote behind the marks."""
    changes = "SELECT entity, op, entity_id, version, sku, product_id FROM catalog_change"
    return [
        *(read(f"SELECT * FROM {model._meta.db_table} ORDER BY 1") for model in MODELS),
        *(read(f"SELECT rowid, * FROM {table} ORDER BY 1") for table in DOCUMENTS),
        read("SELECT kind, key, sum(number) FROM catalog_tally GROUP BY 1, 2 HAVING sum(number) <> 0 ORDER BY 1, 2"),
        read(f"SELECT words, products FROM catalog_word_change WHERE id > {words} ORDER BY 1"),
        read(f"{changes} WHERE position > {position} ORDER BY 1, 2, 3"),
    ]


@pytest.mark.slow
def test_triggers_do_the_same_for_rows_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "count_words", lambda: 0)  # counted words leave the table that is compared
    put_up_shelves()
    marks = mark()
    seed(12)
    mark()
    together, rows = read_all(*marks), [list(model.objects.order_by("pk")) for model in MODELS]
    Product.objects.all().delete()
    marks = mark()
    for row in chain.from_iterable(rows):
        row.save(force_insert=True)
    mark()
    assert read_all(*marks) == together


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
