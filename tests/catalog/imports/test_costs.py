"""What an import costs: queries a batch, memory a file, and writes only where something differs."""

import gc
import tracemalloc
from contextlib import suppress
from io import BytesIO
from unittest.mock import patch

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from catalog.imports import runs, upsert
from catalog.imports.readers import open_source
from catalog.imports.report import MOST_ERRORS, Outcome, Report
from catalog.imports.runs import ImportRun
from catalog.models import Brand, Category, Product, Variant
from catalog.writes.drafts import ProductDraft
from catalog.writes.plans import Manner
from config.api.freshness.leases import FRESHNESS
from tests.factories import make_product

pytestmark = pytest.mark.django_db


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """150 rows a batch on either database."""
    monkeypatch.setitem(runs.BATCH_WEIGHT, connection.vendor, 150)


def make_rows(count: int, price: int = 1) -> bytes:
    head = "sku,title,price,stock,brand,category,image,description\n"
    row = "S{0},Lamp {0},{1},{0},Brand {2},Home > Shelf {2},https://i.example/{0}.jpg,Text of {0}\n"
    return (head + "".join(row.format(number, price, number % 5) for number in range(count))).encode()


def import_bytes(content: bytes, *, dry_run: bool = False) -> Report:
    run = ImportRun(open_source(BytesIO(content), "file.csv"), dry_run=dry_run)
    for _ in run.take_steps():
        pass
    return run.report


# In production, an import that has changed something numbers its changes at its end.
NUMBERING = int(connection.vendor == "postgresql")


def list_queries(content: bytes) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        import_bytes(content)
    return [query["sql"][:60] for query in queries]


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, 900])
def test_a_batch_of_new_products_costs_as_many_queries_as_one_product(size: int) -> None:
    queries = list_queries(make_rows(size))
    # 1 to 4. two savepoints and their ends, in production BEGIN, a savepoint, its end and COMMIT
    # 5, 6. products and variants under these SKUs; stock, texts and images of no product aren't asked for
    # 7 to 9. brands: which are there, the new ones, their ids
    # 10 to 12. categories: which are there, the new ones of each of two levels
    # 13. the slugs that are taken
    # 14. keys of products  15 to 19. new images, products, texts, variants and stock; on SQLite also keys of variants
    assert len(queries) == 19 + NUMBERING + (connection.vendor == "sqlite"), "\n".join(queries)


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, 900])
@pytest.mark.parametrize("price", [1, 2])
def test_a_second_import_costs_a_query_a_table_and_what_differs_two_more(price: int, size: int) -> None:
    import_bytes(make_rows(size))
    queries = list_queries(make_rows(size, price))
    # 1 to 4. as above  5 to 9. what is there  10, 11. brands and categories
    # 12, 13. variants whose price differs, and versions, which triggers have moved with it
    assert len(queries) == (13 if price == 2 else 11) + NUMBERING * (price == 2), "\n".join(queries)


def test_only_rows_that_differ_are_written() -> None:
    import_bytes(make_rows(20))
    versions = dict(Product.objects.values_list("sku", "version"))
    lines = make_rows(20).splitlines(keepends=True)
    lines[8] = lines[8].replace(b"Lamp 7", b"Torch 7")
    report = import_bytes(b"".join(lines))
    assert (report.products.updated, report.products.unchanged) == (1, 19)
    versions["S7"] += 1
    assert dict(Product.objects.values_list("sku", "version")) == versions


def test_a_new_product_needs_no_second_write_for_what_triggers_derive() -> None:
    import_bytes(make_rows(3))
    assert set(Product.objects.values_list("version", flat=True)) == {1}
    assert list(Product.objects.order_by("pk").values_list("price", "in_stock", "image_url")) == [
        (1, False, "https://i.example/0.jpg"),
        (1, True, "https://i.example/1.jpg"),
        (1, True, "https://i.example/2.jpg"),
    ]


def measure_peak(count: int) -> int:
    """The peak in bytes of reading and checking `count` rows; writing is left out, since a test keeps its queries."""
    run = ImportRun(open_source(BytesIO(make_rows(count)), "file.csv"))
    tracemalloc.start()
    with patch.object(runs, "import_batch", lambda *given, **how: Outcome()):
        for _ in run.take_steps():
            gc.collect()  # the suite's processes look for garbage seldom
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.fixture
def small_heap() -> None:
    """What other tests have left isn't looked through for garbage after each batch."""
    gc.collect()
    gc.freeze()


@pytest.mark.slow
@pytest.mark.once
def test_memory_does_not_grow_with_the_file(small_batches: None, small_heap: None) -> None:
    measure_peak(100)  # what is loaded once
    # 0.8 MB, and 0.2 for the allocator's mood beside other threads; the file itself lies outside the measurement. Rows
    # that were kept, at 60 bytes each and more, would be seen.
    assert measure_peak(6_000) <= measure_peak(1_500) * 1.33


@pytest.mark.once
@pytest.mark.slow
def test_memory_does_not_grow_while_rows_are_written(small_batches: None, small_heap: None) -> None:
    peaks = []
    tracemalloc.start()
    for _ in ImportRun(open_source(BytesIO(make_rows(1_500)), "file.csv"), dry_run=True).take_steps():
        gc.collect()  # psycopg leaves cycles, which Python collects every few batches
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.reset_peak()
    tracemalloc.stop()
    # The first batch also loads what is loaded once. Rows that were kept would double the peak by the tenth batch;
    # on a busy machine the allocator's mood alone made 1.14 of it.
    assert max(peaks[2:]) <= peaks[1] * 1.4


def test_python_collects_garbage_between_batches_only(small_batches: None) -> None:
    during = []
    with patch.object(runs, "import_batch", lambda *given, **how: during.append(gc.isenabled()) or Outcome()):
        steps = ImportRun(open_source(BytesIO(make_rows(300)), "file.csv")).take_steps()
        between = [gc.isenabled() for _ in steps]
    assert (during, between) == ([False] * 2, [True] * 2)
    with patch.object(runs, "import_batch", side_effect=ZeroDivisionError), suppress(ZeroDivisionError):
        import_bytes(make_rows(1))
    assert gc.isenabled()


def test_reasons_are_kept_up_to_a_thousand_and_all_are_counted() -> None:
    report = import_bytes(b"sku,title,price\n" + b"".join(b"S%d,Lamp,x\n" % number for number in range(1_500)))
    assert (len(report.errors), report.errors_total, report.refused) == (MOST_ERRORS, 1_500, 1_500)


def test_a_batch_of_long_texts_is_shorter(small_batches: None) -> None:
    row = b"S%d,Lamp,1," + b"word " * 4_000 + b"\n"
    content = b"sku,title,price,description\n" + b"".join(row % number for number in range(60))
    run = ImportRun(open_source(BytesIO(content), "file.csv"), dry_run=True)
    assert sum(1 for _ in run.take_steps()) == 2


def test_a_row_that_the_database_refuses_does_not_lose_its_batch() -> None:
    real = upsert.write_batch

    def write_batch(drafts: list[ProductDraft], manner: Manner) -> Outcome:
        outcome = real(drafts, manner)
        if any(draft.sku == "S3" for draft in drafts):
            raise IntegrityError("another writer was first\nDETAIL: …")
        return outcome

    with patch.object(upsert, "write_batch", write_batch):
        report = import_bytes(make_rows(8))
    assert (report.products.created, report.refused, Product.objects.count()) == (7, 1, 7)
    (error,) = report.errors
    assert (error.line, error.key) == (5, "S3")
    assert "the database rejected the row (another writer was first)" in error.reason


def test_a_brand_that_somebody_else_creates_meanwhile_is_found() -> None:
    Brand.objects.create(name="Brand 1", slug="brand-1")
    Category.objects.create(name="Home", slug="home")
    report = import_bytes(make_rows(10))
    assert (report.brands_created, report.categories_created) == (4, 5)


@pytest.mark.django_db(transaction=True)
def test_answers_kept_before_an_import_are_stale_after_it() -> None:
    before = read_position()
    import_bytes(make_rows(3), dry_run=True)
    assert read_position() == before
    import_bytes(make_rows(3))
    after = read_position()
    assert after > before
    import_bytes(make_rows(3))
    assert read_position() == after


def read_position() -> int:
    FRESHNESS.end()
    lease = FRESHNESS.read()
    assert lease
    return lease.position


@pytest.mark.django_db(transaction=True)
def test_an_import_ends_with_fresh_statistics() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("VACUUM (ANALYZE) is PostgreSQL's")
    import_bytes(make_rows(50))
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'catalog_product'")
        assert cursor.fetchone() == (50,)


def test_variants_of_earlier_batches_are_known_to_later_ones() -> None:
    make_product(sku="OLD")
    with patch.dict(runs.BATCH_WEIGHT, {connection.vendor: 2}):
        dry = import_bytes(make_rows(7), dry_run=True)
        assert Variant.objects.count() == 1
        real = import_bytes(make_rows(7))
    assert (dry.products, dry.brands_created, dry.categories_created) == (
        real.products,
        real.brands_created,
        real.categories_created,
    )
    assert (real.products.created, real.brands_created) == (7, 5)
