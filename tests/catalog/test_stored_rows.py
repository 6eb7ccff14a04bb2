"""Stored JSON is what the columns say, after any history of writes; during a rebuild reads compile (PostgreSQL)."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from io import BytesIO, StringIO
from typing import Any

import orjson
import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.writer import MigrationWriter
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from psycopg.errors import DeadlockDetected, LockNotAvailable, UniqueViolation
from rest_framework.request import Request
from rest_framework.serializers import CharField, ModelSerializer
from rest_framework.test import APIClient

from accounts.models import User
from catalog.changes import autodetector
from catalog.changes.autodetector import FollowingAutodetector
from catalog.changes.log import number_all
from catalog.changes.operations import FollowTable
from catalog.imports.readers import open_source
from catalog.imports.runs import ImportRun
from catalog.models import Brand, Category, Change, Product
from catalog.serializers import BrandRead, CategoryRead, ProductRead
from config.api.database import statements
from config.api.database.statements import choose_compiled
from config.api.database.storing import StoredForm, StoreRows
from config.api.reads import oracle, projection, stored, stored_pieces, stored_rows
from config.api.reads.plans import PLANS
from config.api.reads.selections import build_selection
from config.api.reads.stored_rows import find_unstored, list_tables
from config.api.reads.stored_triggers import find_form
from config.api.schema.checks import check_stored
from tests.catalog.test_triggers_together import open_session, write_together
from tests.factories import make_brand, make_category, make_product
from tests.migrating import read_state

pytestmark = [pytest.mark.django_db, pytest.mark.both]
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite stores no rows")

ORIGIN = "http://testserver"
SHOWN: list[tuple[Any, tuple[str, ...]]] = [
    (BrandRead, ()), (CategoryRead, ()), (ProductRead, ()), (ProductRead, ("images",)), (ProductRead, ("variants",)),
    (ProductRead, ("brand", "category")), (ProductRead, ("brand", "category", "images", "variants.stock")),
]  # fmt: skip


@pytest.fixture(autouse=True)
def sample_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests leave dead rows, among which a sample may miss the one that is wrong."""
    monkeypatch.setattr(stored_rows, "SAMPLE", 10**9)


def check_all() -> None:
    """Each row's stored JSON is the compiled one byte for byte, and says what DRF says."""
    for serializer, expand in SHOWN:
        for detail in (False, True):
            selection = build_selection(serializer, frozenset(expand), detail)
            rows = serializer.Meta.model._default_manager.order_by("pk")
            selected = stored.select_json(rows, serializer, selection, ORIGIN)
            compiled = [text for (text,) in projection.select_json(rows, serializer, selection, ORIGIN)]
            assert [text for (text,) in selected] == compiled
            assert [text for (text,) in choose_compiled(selected)] == compiled
            found = oracle.select_rows(rows, serializer, selection)
            context = {"request": Request(RequestFactory().get("/"))}
            written = oracle.write_rows(found, serializer, selection, context)
            assert [list(orjson.loads(text).items()) for text in compiled] == [
                list(orjson.loads(text).items()) for text in written
            ]


def ask(sql: str, *values: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else None


# -- histories ---------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["Tea", "Café", 'a "b"', "%s %%", "x\\y", "🧵", "tea"])
NUMBERS = st.integers(1, 4)


def expect(answer: Any) -> None:
    assert answer.status_code in (200, 201), answer.content


def save_singly(staff: APIClient, word: str, number: int) -> None:
    body = {"title": word, "attributes": {word: number / 2, "n": 1}, "status": "active", "brand": f"b{number % 2}"}
    if product := Product.objects.filter(sku=f"P{number}").first():
        body |= {"images": [{"url": f"https://x.example/{number}"}]}
        expect(staff.patch(f"/api/v1/products/{product.pk}/", body))
    else:
        body |= {"sku": f"P{number}", "variants": [{"sku": f"V{number}", "price": "1.00"}]}
        expect(staff.post("/api/v1/products/", body))


def save_in_bulk(staff: APIClient, word: str, number: int) -> None:
    images = [{"url": f"https://x.example/{place}", "alt": word, "position": place} for place in range(number)]
    items = [
        {"sku": f"P{n}", "title": f"{word} {n}", "category": "c", "images": images}
        | {"variants": [{"sku": f"V{n}", "price": "2.50", "on_hand": n}]}
        for n in (number, number + 1)
    ]
    expect(staff.post("/api/v1/products/bulk/", {"mode": "upsert", "items": items}))


def save_levels(staff: APIClient, word: str, number: int) -> None:
    expect(staff.patch("/api/v1/prices/bulk/?on_error=skip", [{"sku": f"V{number}", "price": f"{number}.90"}]))
    expect(staff.patch("/api/v1/stock/bulk/?on_error=skip", [{"sku": f"V{number}", "on_hand": number % 2}]))


def import_file(staff: APIClient, word: str, number: int) -> None:
    line = {"sku": f"P{number}", "title": word, "price": f"{number}.00", "images": [f"https://x.example/{word}.png"]}
    for _ in ImportRun(open_source(BytesIO(json.dumps(line).encode()), "file.ndjson")).take_steps():
        pass


def change_images(staff: APIClient, word: str, number: int) -> None:
    """By SQL, as psql would: another order, another text, another product, fewer."""
    ask("UPDATE catalog_image SET position = 9 - position, alt = alt || %s WHERE id %% 2 = 0", word)
    ask("UPDATE catalog_image SET product_id = (SELECT min(id) FROM catalog_product) WHERE url LIKE %s", f"%/{number}")
    ask("DELETE FROM catalog_image WHERE position = %s", number)


def change_others(staff: APIClient, word: str, number: int) -> None:
    Brand.objects.filter(slug="b1").update(name=f"{word} {number}")
    Category.objects.filter(slug="c").update(
        slug="c", name=word, parent=Category.objects.filter(slug=f"p{number}").first()
    )
    Category.objects.filter(slug__startswith="p").update(name=word)


def change_columns(staff: APIClient, word: str, number: int) -> None:
    ask("UPDATE catalog_product SET attributes = %s WHERE sku = %s", json.dumps({"n": 1.0, word: None}), f"P{number}")
    ask("UPDATE catalog_product SET rating = 5 - rating, compare_at_price = NULL, brand_id = NULL WHERE id % 2 = 0")
    ask("UPDATE catalog_variant SET price = price + 1")


def remove(staff: APIClient, word: str, number: int) -> None:
    Product.objects.filter(sku=f"P{number}").delete()


def meddle(staff: APIClient, word: str, number: int) -> None:
    """Somebody writes the stored columns themselves."""
    if connection.vendor == "postgresql":
        ask("UPDATE catalog_product SET stored_1 = 'junk', stored_3 = NULL, title = title || 'x' WHERE id % 2 = 0")
        ask("UPDATE catalog_product SET stored_form = 7, stored_2 = 'junk' WHERE id % 2 = 1")
        ask("UPDATE catalog_brand SET stored_1 = %s", word)


WRITES: list[Callable[[APIClient, str, int], None]] = [
    save_singly, save_in_bulk, save_levels, import_file, change_images, change_others, change_columns, remove, meddle,
]  # fmt: skip


class Histories(TestCase):
    @pytest.mark.slow
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(history=st.lists(st.tuples(st.sampled_from(WRITES), WORDS, NUMBERS), min_size=1, max_size=8))
    def test_stored_rows_are_right_after_any_history(self, history: list[tuple[Any, str, int]]) -> None:
        staff = APIClient()
        staff.force_authenticate(User.objects.create_superuser("a@example.com", "secret"))
        Brand.objects.bulk_create(Brand(slug=slug, name=slug) for slug in ("b0", "b1"))
        Category.objects.bulk_create(Category(slug=slug, name=slug) for slug in ("p1", "p2", "c"))
        for write, word, number in history:
            # A write that breaks a constraint leaves everything as it was.
            with suppress(IntegrityError), transaction.atomic():
                write(staff, word, number)
        check_all()


STATEMENTS = [
    "UPDATE catalog_product SET title = '{word}', stored_form = NULL WHERE id = {key}",
    "UPDATE catalog_product SET attributes = jsonb_build_object('n', {number}) WHERE id >= {key}",
    "UPDATE catalog_variant SET price = {number} WHERE product_id = {key}",
    "UPDATE catalog_image SET alt = '{word}', position = {number} WHERE product_id = {key}",
    "UPDATE catalog_image SET product_id = {key} WHERE url LIKE '%/{number}'",
    "INSERT INTO catalog_image (product_id, url, alt, position)"
    " VALUES ({key}, 'https://x.example/{number}', '{word}', {number}) ON CONFLICT DO NOTHING",
    "DELETE FROM catalog_image WHERE product_id = {key} AND position = {number}",
    "UPDATE catalog_brand SET name = '{word}'",
]  # fmt: skip
TRANSACTIONS = st.lists(st.tuples(st.sampled_from(STATEMENTS), WORDS, NUMBERS), min_size=1, max_size=3)


def write_history(history: list[list[tuple[str, str, int]]], keys: list[int], start: threading.Barrier) -> None:
    """One of several writers. A transaction that meets a lock or breaks a constraint leaves everything as it was."""
    with open_session() as session:
        session.execute("SET lock_timeout = '200ms'")
        session.commit()
        start.wait()
        for statements in history:
            with suppress(LockNotAvailable, DeadlockDetected, UniqueViolation), session.transaction():
                for sql, word, number in statements:
                    session.execute(sql.format(key=keys[number % len(keys)], word=word, number=number))


@on_postgresql
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories=st.lists(st.lists(TRANSACTIONS, min_size=1, max_size=6), min_size=2, max_size=3))
def test_stored_rows_are_right_after_histories_of_several_writers(histories: Any) -> None:
    Product.objects.all().delete()
    Brand.objects.all().delete()
    brand = make_brand("Acme")
    keys = [make_product(brand=brand, images=2).pk for _ in range(3)]
    start = threading.Barrier(len(histories))
    with ThreadPoolExecutor(len(histories)) as pool:
        for written in [pool.submit(write_history, history, keys, start) for history in histories]:
            written.result(timeout=60)
    check_all()


@on_postgresql
@pytest.mark.parametrize(
    ("trigger", "table", "write"),
    [
        ("stored_row", "catalog_product", "UPDATE catalog_product SET title = 'new'"),
        ("stored_row", "catalog_brand", "UPDATE catalog_brand SET name = 'new'"),
        ("stored_row", "catalog_category", "UPDATE catalog_category SET name = 'new'"),
        ("stored_catalog_product__images_update", "catalog_image", "UPDATE catalog_image SET alt = 'new'"),
        ("stored_catalog_product__images_delete", "catalog_image", "DELETE FROM catalog_image WHERE position = 2"),
        (
            "stored_catalog_product__images_insert",
            "catalog_image",
            "INSERT INTO catalog_image (product_id, url, alt, position) SELECT id, '/new', '', 9 FROM catalog_product",
        ),
    ],
)
def test_without_one_of_the_triggers_a_text_is_wrong(trigger: str, table: str, write: str) -> None:
    make_product(brand=make_brand("Acme"), category=make_category("Tea"), images=2)
    check_all()
    ask("SET CONSTRAINTS ALL IMMEDIATE")  # else the table couldn't be altered yet
    ask(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
    ask(write)
    with pytest.raises(AssertionError):
        check_all()


# -- one write ---------------------------------------------------------------------------------------------------


@on_postgresql
def test_a_brand_renamed_touches_no_product_and_shows_at_the_next_read(client: Client) -> None:
    product = make_product(brand=make_brand("Acme"), category=make_category("Food", "Tea"))
    places = ask("SELECT ctid, xmin FROM catalog_product")
    ask("UPDATE catalog_brand SET name = 'Ferro'")
    ask("UPDATE catalog_category SET slug = 'drinks' WHERE slug = 'food'")
    with CaptureQueriesContext(connection) as queries:
        row = client.get("/api/v1/products/?expand=brand,category").json()["results"][0]
    assert (row["id"], row["brand"]["name"], row["category"]["parent"]) == (product.pk, "Ferro", "drinks")
    assert [query["sql"] for query in queries if "to_char" in query["sql"]] == [], "read from the stored texts"
    assert ask("SELECT ctid, xmin FROM catalog_product") == places


@on_postgresql
def test_storing_is_no_change(client: Client) -> None:
    make_product(images=2)
    number_all()
    before = ask("SELECT version, updated_at FROM catalog_product"), Change.objects.count()
    forget()
    call_command("store_rows", json=True)
    ask("UPDATE catalog_image SET alt = 'seen'")
    number_all()
    assert (ask("SELECT version, updated_at FROM catalog_product"), Change.objects.count() - 2) == before
    check_all()


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_truncated_images_are_shown_no_more() -> None:
    make_product(images=2)
    ask("TRUNCATE catalog_image")
    check_all()


@on_postgresql
def test_the_log_keeps_no_stored_text() -> None:
    make_product()
    ask("UPDATE catalog_product SET title = 'new'")
    number_all()
    change = Change.objects.filter(entity="product", op="update").first()
    assert change is not None
    assert not [name for name in change.before if name.startswith("stored")]


# -- rows that aren't stored -------------------------------------------------------------------------------------


def forget(where: str = "true") -> None:
    """Rows as they are before they are stored in this form."""
    with triggers_off():
        ask(f"UPDATE catalog_product SET stored_form = 1, stored_1 = 'old' WHERE {where}")


@contextmanager
def triggers_off() -> Iterator[None]:
    ask("SET session_replication_role = replica")
    yield
    ask("SET session_replication_role = DEFAULT")


def read_everything(client: Client, staff: APIClient, product: Product) -> list[Any]:
    """Answers that show the product by its stored texts, where it has them."""
    PLANS.clear()
    paths = ("", "?expand=brand,images", "?search=product", f"{product.pk}/", "?page=1&omit=title")
    export = staff.get("/api/v1/exports/products.ndjson?expand=images&trailer=0")
    return [*(client.get(f"/api/v1/products/{path}").content for path in paths), b"".join(export.streaming_content)]


@on_postgresql
@pytest.mark.parametrize("where", ["true", "id % 2 = 0"])
def test_rows_that_are_not_stored_read_the_same(where: str, client: Client, staff: APIClient) -> None:
    products = [make_product(brand=make_brand("Acme"), images=2) for _ in range(4)]
    stored_ones = read_everything(client, staff, products[1])
    forget(where)
    assert read_everything(client, staff, products[1]) == stored_ones
    with triggers_off():
        ask("UPDATE catalog_brand SET stored_form = NULL, stored_1 = NULL")
    assert read_everything(client, staff, products[1]) == stored_ones


@on_postgresql
def test_a_page_that_is_not_stored_is_compiled_at_once_for_a_while(staff: APIClient, monkeypatch: Any) -> None:
    make_product()
    PLANS.clear()
    staff.get("/api/v1/products/")
    forget()
    for expected in (2, 1):
        with CaptureQueriesContext(connection) as queries:
            staff.get("/api/v1/products/")
        assert len(queries) == expected
    call_command("store_rows", json=True)
    monkeypatch.setattr(statements, "monotonic", lambda: time.monotonic() + statements.PAUSE)
    with CaptureQueriesContext(connection) as queries:
        staff.get("/api/v1/products/")
    assert len(queries) == 1
    assert "to_char" not in queries[0]["sql"]


@on_postgresql
def test_a_rebuild_that_is_killed_goes_on_where_it_was(monkeypatch: Any) -> None:
    for _ in range(5):
        make_product()
    forget()
    monkeypatch.setattr(stored_rows, "BATCH", 2)
    [table] = [table for table in list_tables() if table.form.table == "catalog_product"]
    assert next(table.store_rows(is_all=False)) == 2
    assert [detail for detail, _ in find_unstored()] == [
        "3 of 5 rows of catalog_product aren't stored, so each read writes their JSON again."
    ]
    out = StringIO()
    call_command("store_rows", json=True, stdout=out)
    assert json.loads(out.getvalue())["catalog_product"] == 3
    assert list(find_unstored()) == []
    check_all()


@on_postgresql
def test_doctor_names_a_row_whose_text_is_wrong() -> None:
    product = make_product()
    with triggers_off():
        ask("UPDATE catalog_product SET title = 'written without triggers'")
    [(detail, remedy)] = find_unstored()
    assert f"catalog_product isn't what their columns say, as of {product.pk}" in detail
    assert "store_rows --all" in remedy
    call_command("store_rows", all=True, json=True)
    assert list(find_unstored()) == []


# -- another form ------------------------------------------------------------------------------------------------


class Narrow(ModelSerializer[Product]):
    """Another form of products, as of another release."""

    class Meta:
        model = Product
        fields = ("id", "title", "price")


def make_form(serializer: Any) -> StoredForm:
    """Its form, although only ProductRead is stored."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serializer.Meta, "stored", True, raising=False)
        stored_pieces.find_pieces.cache_clear()
        form = find_form.__wrapped__(serializer)
        assert form is not None
    stored_pieces.find_pieces.cache_clear()
    return form


def follow(operation: StoreRows) -> list[Any]:
    """As makemigrations surrounds it. The first one runs last on the way back: the log knows the columns again."""
    return [FollowTable(operation.name), operation, FollowTable(operation.name)]


@contextmanager
def other_form() -> Iterator[None]:
    """The database as a migration of another release leaves it."""
    migration = Migration("other", "catalog")
    migration.operations = follow(StoreRows("product", make_form(Narrow)))
    before = read_state()
    with connection.schema_editor() as editor:
        migration.apply(before.clone(), editor)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            migration.unapply(before.clone(), editor)


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_release_reads_right_beside_another_release_with_another_form(client: Client, staff: APIClient) -> None:
    products = [make_product(images=2) for _ in range(3)]
    before = read_everything(client, staff, products[1])
    with other_form():
        assert read_everything(client, staff, products[1]) == before
        ask("UPDATE catalog_product SET title = title || 'x' WHERE id % 2 = 0")
        check_answers(client)
        with pytest.raises(CommandError, match="catalog_product have another form"):
            call_command("store_rows")
        [warning] = run_checks(tags=["database"], databases=["default"])
        assert warning.id == "tenfold.W005"
    check_answers(client)
    call_command("store_rows", json=True)
    check_all()


def check_answers(client: Client) -> None:
    PLANS.clear()
    selection = build_selection(ProductRead, frozenset({"images"}))
    rows = projection.select_json(Product.objects.order_by("-created_at", "-pk"), ProductRead, selection, ORIGIN)
    expected = [orjson.loads(text) for (text,) in rows]
    assert client.get("/api/v1/products/?expand=images").json()["results"] == expected


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_release_reads_right_before_its_migration(client: Client, staff: APIClient) -> None:
    """And on a replica that the migration hasn't reached."""
    products = [make_product(images=2) for _ in range(3)]
    before = read_everything(client, staff, products[1])
    migration, state = Migration("none", "catalog"), read_state()
    migration.operations = follow(StoreRows("product"))
    with connection.schema_editor() as editor:
        migration.apply(state.clone(), editor)
    try:
        assert not ask(
            "SELECT FROM pg_attribute WHERE attname LIKE 'stored%' AND attrelid = 'catalog_product'::regclass"
        )
        assert read_everything(client, staff, products[1]) == before
    finally:
        with connection.schema_editor() as editor:
            migration.unapply(state.clone(), editor)
    assert read_everything(client, staff, products[1]) == before


class Load:
    """Readers and a writer. Each title and text of an image says how often it was written."""

    def __init__(self, keys: list[int]) -> None:
        self.keys, self.until, self.failed, self.seen = keys, threading.Event(), list[Any](), [0, 0]
        calls = (partial(self.read, 0), partial(self.read, 1), self.write)
        self.threads = [threading.Thread(target=self.run, args=(call,)) for call in calls]

    def __enter__(self) -> None:
        for thread in self.threads:
            thread.start()

    def __exit__(self, *error: object) -> None:
        self.until.set()
        for thread in self.threads:
            thread.join()

    def run(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # any is a failure
            self.failed.append(error)
        finally:
            connection.close()

    def write(self) -> None:
        with open_session() as session:
            session.autocommit = True
            for number in itertools.count():
                values = [str(1 + number // len(self.keys)), self.keys[number % len(self.keys)]]
                # The images first: a product's title is never ahead of them.
                session.execute("UPDATE catalog_image SET alt = %s WHERE product_id = %s", values)
                session.execute("UPDATE catalog_product SET title = %s WHERE id = %s", values)
                if self.until.is_set():
                    return

    def read(self, number: int) -> None:
        client, known = Client(), dict.fromkeys(self.keys, 0)
        while not self.until.is_set():
            answer = client.get(f"/api/v1/products/?expand=images&page_size={20 + number}")
            rows = answer.json().get("results", [])
            if answer.status_code != 200 or len(rows) != len(known):
                self.failed.append(answer.content)
            self.failed += [row for row in rows if not self.is_right(row, known)]
            self.seen[number] += 1

    def is_right(self, row: Any, known: dict[int, int]) -> bool:
        """Whether it isn't older than what was read before, and is of one moment."""
        before, known[row["id"]] = known[row["id"]], int(row["title"])
        alts = {int(image["alt"] or 0) for image in row["images"]}
        return len(alts) == 1 and before <= known[row["id"]] <= min(alts)


@on_postgresql
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_no_answer_is_wrong_or_fails_while_a_migration_and_a_rebuild_run() -> None:
    load = Load([make_product(images=2, title="0").pk for _ in range(12)])
    with load:
        with other_form():
            time.sleep(0.3)
        for table in list_tables():
            for _ in table.store_rows(is_all=True):
                time.sleep(0.02)
    assert load.failed == []
    assert min(load.seen) > 3
    check_all()


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_two_writers_of_one_product_leave_its_text_right() -> None:
    product = make_product(images=2)
    one, two = product.images.all()
    image = "UPDATE catalog_image SET alt = 'seen', position = 9 WHERE id = {}".format
    title = f"UPDATE catalog_product SET title = 'new', stored_form = NULL WHERE id = {product.pk}"
    for first, second in ((image(one.pk), image(two.pk)), (title, image(two.pk)), (image(one.pk), title)):
        write_together(first, second)
        check_all()
        ask("UPDATE catalog_image SET alt = 'again', position = 1")


# -- what makemigrations and check say ---------------------------------------------------------------------------


@pytest.mark.once
def test_makemigrations_writes_the_form_that_a_serializer_has_now(monkeypatch: Any) -> None:
    loader = MigrationLoader(connection)
    state = loader.project_state()
    assert FollowingAutodetector(state, state.clone()).changes(loader.graph) == {}
    monkeypatch.setattr(autodetector, "list_stored", lambda: [BrandRead, CategoryRead])
    [migration] = FollowingAutodetector(state, state.clone()).changes(loader.graph)["catalog"]
    assert [type(operation).__name__ for operation in migration.operations] == [
        "FollowTable",
        "StoreRows",
        "FollowTable",
    ]
    assert migration.operations[1].form is None
    state.models["catalog", "brand"].options.pop("stored")
    monkeypatch.setattr(autodetector, "list_stored", lambda: [BrandRead, CategoryRead, ProductRead])
    [migration] = FollowingAutodetector(state, state.clone()).changes(loader.graph)["catalog"]
    assert migration.operations[1].form == find_form(BrandRead)
    text = MigrationWriter(migration).as_string()
    written: dict[str, Any] = {}
    exec(text, written)
    [_, operation, _] = written["Migration"].operations
    assert operation.form.number == migration.operations[1].form.number
    assert [sql.split() for sql in operation.form.create] == [
        sql.split() for sql in migration.operations[1].form.create
    ]


@pytest.mark.once
def test_a_subclass_is_not_stored() -> None:
    """It would have another form in the same columns."""
    loud = type("Loud", (BrandRead,), {"shout": CharField(source="name")})
    assert stored_pieces.find_pieces(loud) == ()


class Clock(CharField):
    database_expression = "coalesce({column}, now()::text)"


class Timed(ModelSerializer[Brand]):
    at = Clock(source="name")

    class Meta:
        model = Brand
        fields = ("slug", "at")


@pytest.mark.once
def test_what_the_clock_says_is_not_stored() -> None:
    assert [name for name in ("slug", "at") if stored_pieces.is_own(Timed, name)] == ["slug"]
    assert stored_pieces.is_own(ProductRead, "rating"), "its expression reads the column alone"


@pytest.mark.once
def test_check_names_a_list_that_cannot_be_stored(monkeypatch: Any) -> None:
    monkeypatch.setattr(ProductRead.Meta, "stored_lists", {"title": ()})
    [error] = check_stored()
    assert (error.id, error.msg) == ("tenfold.E008", "ProductRead.Meta.stored_lists: title is not a nested list.")
