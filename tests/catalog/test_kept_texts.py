"""Brands and categories that the server keeps are those of the page's own snapshot (PostgreSQL)."""

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from catalog.models import Brand, Category, Product
from config.api.database import statements
from config.api.freshness.tables import note_reads
from config.api.reads import kept_texts
from config.api.reads.kept_texts import TEXTS
from config.api.reads.plans import PLANS
from config.api.reads.text_states import MOST_NUMBERS, fold_writes, write_state
from tests.catalog.test_triggers_together import open_session
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite stores no rows")

LIST = "/api/v1/products/?expand=brand,category"
NEVER = 10**9
STATE = f"SELECT {write_state('catalog_brand')}"


@pytest.fixture(autouse=True)
def fill_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "JOINED_PAGES", 0)
    TEXTS.clear()


@pytest.fixture
def products(db: None) -> list[Product]:
    food = make_category("Food", "Tea")
    made = [make_product(brand=make_brand(name), category=food, images=2) for name in ("Acme", 'a "b"', "Café \\")]
    return [*made, make_product(brand=None, category=None), make_product(brand=made[0].brand, category=food.parent)]


def ask(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else None


def read(client: Client, path: str = LIST) -> tuple[Any, list[str]]:
    """The body, and the statements that read products."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert answer.status_code == 200
    found = [query["sql"] for query in queries if 'FROM "catalog_product"' in query["sql"]]
    return answer.content, found


def read_joined(client: Client, path: str = LIST) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statements, "JOINED_PAGES", NEVER)
        return read(client, path)[0]


@pytest.mark.parametrize(
    "path",
    [
        LIST, "/api/v1/products/", "/api/v1/products/?expand=brand,images&page=1&page_size=2",
        "/api/v1/products/?fields=id,sku,slug,title,category", "/api/v1/products/?brand=acme&expand=brand",
        "/api/v1/products/?category=food&expand=category,variants.stock&ordering=price",
    ],
)  # fmt: skip
def test_a_filled_page_is_the_joined_one(path: str, products: list[Product], client: Client) -> None:
    joined = read_joined(client, path)
    body, asked = read(client, path)
    assert body == joined
    assert ["JOIN" in sql for sql in asked if "row_json" in sql] == [False]


def test_one_row_is_joined(products: list[Product], client: Client) -> None:
    _, asked = read(client, f"/api/v1/products/{products[0].pk}/?expand=brand")
    assert "JOIN" in asked[-1]


CHANGES = (
    "UPDATE catalog_brand SET name = 'Ferro' WHERE slug = 'acme'",
    "UPDATE catalog_category SET slug = 'drinks' WHERE slug = 'food'",
)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_shows_at_the_next_read(change: str, products: list[Product], client: Client) -> None:
    before, _ = read(client)
    read(client)
    ask(change)
    after = [read(client)[0] for _ in range(2)]
    assert after == [read_joined(client)] * 2
    assert after[0] != before


def test_a_write_that_is_rolled_back_leaves_no_text(products: list[Product], client: Client) -> None:
    before, _ = read(client)
    with transaction.atomic():
        Brand.objects.update(name="Never")
        assert b"Never" in read(client)[0]
        transaction.set_rollback(True)
    assert read(client)[0] == before


def test_a_filled_answer_depends_on_the_tables_that_its_texts_are_from(products: list[Product], client: Client) -> None:
    read(client)
    with note_reads() as reads:
        _, [sql] = read(client)
    assert "JOIN" not in sql
    assert {Brand._meta.db_table, Category._meta.db_table} <= reads.tables
    assert reads.are_followed


@pytest.mark.parametrize("role", ["origin", "replica"])
def test_a_write_of_rows_makes_another_state(role: str, products: list[Product]) -> None:
    """Also where triggers are off, as while a restore or a repair writes. Imports look for brands in vain."""
    made = "INSERT INTO catalog_brand (slug, name, version, created_at, updated_at) VALUES ('x', 'x', 1, now(), now())"
    ask(f"SET LOCAL session_replication_role = {role}")
    states = ask(STATE)
    for write in (made, "UPDATE catalog_brand SET name = name", "DELETE FROM catalog_brand WHERE slug = 'x'"):
        for repeated in (write, f"{made} ON CONFLICT DO NOTHING" if "DELETE" not in write else "SELECT 1"):
            ask(repeated)
            states += ask(STATE)
    assert [before == after for before, after in itertools.pairwise(states)] == [False, True] * 3


def test_numbers_that_are_folded_name_the_same_state(products: list[Product]) -> None:
    for number in range(MOST_NUMBERS + 1):
        Brand.objects.update(name=f"name {number}")
    before = ask(STATE)
    fold_writes()
    assert ask(STATE) == before
    assert ask("SELECT count(*) FROM stored_catalog_brand_writes") == [(1,)]


def test_more_texts_than_are_kept_are_joined(
    products: list[Product], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_texts, "MOST_TEXTS", 2)
    body, asked = read(client)
    assert "JOIN" in asked[-1]
    assert body == read_joined(client)


def test_a_text_of_another_state_is_not_filled_in(
    products: list[Product], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A brand is renamed after the page's statement, and before that of the texts."""

    def rename() -> str:
        ask("UPDATE catalog_brand SET name = name || '.'")
        return "default"

    with monkeypatch.context() as patch:
        patch.setattr(kept_texts, "find_reader", rename)
        body, asked = read(client)
    assert "JOIN" in asked[-1]
    assert body == read_joined(client)


@pytest.mark.django_db(transaction=True)
def test_before_its_migration_a_page_is_joined(client: Client) -> None:
    make_product(brand=make_brand("Acme"), category=make_category("Food"))
    joined = read_joined(client)
    ask("ALTER TABLE stored_catalog_brand_writes RENAME TO gone")
    try:
        assert read(client)[0] == joined
    finally:
        ask("ALTER TABLE gone RENAME TO stored_catalog_brand_writes")


def test_numbers_that_are_lost_name_no_state(products: list[Product], client: Client) -> None:
    ask("DELETE FROM stored_catalog_brand_writes")
    body, asked = read(client)
    assert "JOIN" in asked[-1]
    assert body == read_joined(client)


def test_a_list_that_is_asked_for_a_few_times_reads_no_texts(
    products: list[Product], staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    PLANS.clear()
    monkeypatch.setattr(statements, "JOINED_PAGES", 2)
    joined = ["JOIN" in read(staff)[1][-1] for _ in range(4)]
    assert joined == [True, True, False, False]


class Writer:
    """Writes the same number into a brand's name, a category's and all titles, in one transaction."""

    def __enter__(self) -> None:
        self.until = threading.Event()
        self.thread = threading.Thread(target=self.write)
        self.thread.start()

    def __exit__(self, *error: object) -> None:
        self.until.set()
        self.thread.join()

    def write(self) -> None:
        with open_session() as session:
            session.autocommit = False
            number = 0
            while not self.until.is_set():
                number += 1
                for table, column in (("product", "title"), ("brand", "name"), ("category", "name")):
                    session.execute(f"UPDATE catalog_{table} SET {column} = '{number}'")
                session.commit()
                time.sleep(0.005)  # else each state would be gone when its texts are read


def read_numbers(client: Client) -> Iterator[set[str]]:
    for row in client.get(LIST).json()["results"]:
        yield {row["title"], *(row[name]["name"] for name in ("brand", "category") if row[name])}


@pytest.mark.django_db(transaction=True)
def test_all_of_a_page_is_of_one_snapshot_while_brands_are_renamed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Acme", "Ferro"):
        make_product(brand=make_brand(name), category=make_category("Food"), title="0")
    Brand.objects.update(name="0")
    Category.objects.update(name="0")
    filled, fill = [], kept_texts.Gaps.fill

    def count(*args: Any) -> Any:
        rows = fill(*args)
        filled.append(rows is not None)
        return rows

    monkeypatch.setattr(kept_texts.Gaps, "fill", count)
    with Writer():
        end = time.monotonic() + 2
        while time.monotonic() < end or sum(filled) < 5:
            assert all(len(numbers) == 1 for numbers in read_numbers(client))
