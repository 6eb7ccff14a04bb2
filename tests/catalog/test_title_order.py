"""`ordering=title` is one order on both databases: without case and accents first, then by id."""

import re
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from catalog.changes.log import number_changes
from catalog.models import Change, Product
from catalog.title_keys import Fold, fill_keys, make_title_key
from catalog.writes.stored import find_wrong_title_keys
from config.api.database.folding import BLOCKS, FOLDS, fold
from config.api.gates.cache_gate import CACHE
from config.api.reads.plans import PLANS
from tests.examples import share
from tests.factories import make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"
LETTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
FOLDED = st.sampled_from(sorted(FOLDS))
TEXTS = st.text(st.sampled_from("aAbB z-'\\%") | FOLDED | LETTERS, max_size=12)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Café", "cafe"), ("CAFE\u0301", "cafe"), ("Łódź", "lodz"), ("STRASSE", "strasse"), ("Straße", "strasse"),
        ("Ærø", "aero"), ("Ёлка", "елка"), ("ΣΊΣΥΦΟΣ", "σισυφοσ"), ("ﬁx \uff21\uff11", "fix a1"),
        ("漢字 🧵 हिन्दी", "漢字 🧵 हिन्दी"),
    ],
)  # fmt: skip
def test_case_and_accents_are_folded(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_a_folded_text_stays_as_it_is() -> None:
    assert [letter for letter, written in FOLDS.items() if fold(written) != written] == []


def test_the_database_folds_each_letter_as_python_does() -> None:
    make_product()
    letters = sorted(FOLDS)
    for start in range(0, len(letters), 400):
        texts = [f"x{letter}Y" for letter in letters[start : start + 400]]
        assert list(Product.objects.values_list(*(Fold(Value(text)) for text in texts)).get()) == list(map(fold, texts))


@pytest.mark.slow
@settings(max_examples=share(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(titles=st.lists(TEXTS.filter(bool), min_size=1, max_size=12))
def test_lists_are_sorted_by_the_key_forward_and_backward(titles: list[str], client: APIClient) -> None:
    with transaction.atomic():
        # What a rolled back transaction has shown may still be kept.
        CACHE.clear()
        for title in titles:
            make_product(title=title, images=0)
        rows = Product.objects.values_list("title", "pk")
        wanted = [pk for _, pk in sorted((make_title_key(title), pk) for title, pk in rows)]
        assert set(Product.objects.values_list("title_key", "title")) == {(make_title_key(t), t) for t in titles}
        assert walk(client, f"{URL}?ordering=title&fields=id&page_size=3") == wanted
        assert walk(client, f"{URL}?ordering=-title&fields=id&page_size=3") == wanted[::-1]
        transaction.set_rollback(True)


def walk(client: APIClient, url: str) -> list[int]:
    """The ids of all pages. The way back must give the same."""
    pages = [client.get(url).json()]
    while pages[-1]["next"]:
        pages.append(client.get(pages[-1]["next"]).json())
    ids, page = [[row["id"] for row in page["results"]] for page in pages], pages[-1]
    for before in reversed(ids[:-1]):
        page = client.get(page["previous"]).json()
        assert [row["id"] for row in page["results"]] == before
    assert page["previous"] is None
    return [pk for page in ids for pk in page]


def test_every_writer_gets_the_key() -> None:
    product = make_product(title="Émile")
    others = Product.objects.bulk_create([Product(sku="B", slug="b", title="Ä", title_key="zzz")])
    Product.objects.filter(pk=product.pk).update(title="Über")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_product SET title_key = 'x' WHERE id = %s", [others[0].pk])
    assert list(Product.objects.order_by("pk").values_list("title_key", flat=True)) == ["uber", "a"]
    product.refresh_from_db()
    product.title = "Öl"
    product.save()
    product.refresh_from_db()
    assert product.title_key == "ol"


def empty_keys(number: int) -> None:
    """Rows as they are before the fill."""
    for count in range(number):
        make_product(title=f"Ä {count}", images=0)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("UPDATE catalog_product SET title_key = ''")
            cursor.execute("SET LOCAL session_replication_role = DEFAULT")
            return
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'title_key_update'")
        [sql] = cursor.fetchone()
        cursor.execute("DROP TRIGGER title_key_update")
        cursor.execute("UPDATE catalog_product SET title_key = ''")
        cursor.execute(sql)


def test_a_fill_that_was_stopped_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    empty_keys(7)
    number_changes()
    logged, versions = Change.objects.count(), list(Product.objects.order_by("pk").values("version", "updated_at"))
    [finding] = find_wrong_title_keys()
    assert "misplace" in finding[0]
    rows: Any = Product.objects.all()
    update, calls = type(rows).update, []

    def update_twice(*args: Any, **values: Any) -> int:
        calls.append(values)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return int(update(*args, **values))

    with monkeypatch.context() as patch:
        patch.setattr(type(rows), "update", update_twice)
        with pytest.raises(KeyboardInterrupt):
            fill_keys(rows, batch=2)
    assert Product.objects.exclude(title_key="").count() == 4
    assert fill_keys(rows, batch=2) == 3
    assert set(Product.objects.values_list("title_key", flat=True)) == {f"a {count}" for count in range(7)}
    assert list(find_wrong_title_keys()) == []
    number_changes()
    assert Change.objects.count() == logged
    assert list(Product.objects.order_by("pk").values("version", "updated_at")) == versions


def test_a_cursor_of_the_former_order_is_refused(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for title in "ab":
        make_product(title=title)
    with monkeypatch.context() as patch:
        patch.setattr("catalog.views.products.ProductViewSet.order_columns", {})
        former = client.get(f"{URL}?ordering=title&page_size=1&fields=title").json()["next"]
        PLANS.clear()
    answer = client.get(former)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_each_letter_beyond_ascii_is_in_a_block() -> None:
    assert [
        letter for letter in FOLDS if not (letter.isascii() or re.match(f"[{''.join(BLOCKS.values())}]", letter))
    ] == []


def test_the_key_is_compared_by_code_points() -> None:
    for title in ("漢", "Z", "ж", "a-b", "a b", "ab", "🧵", "\uff5e"):
        make_product(title=title, images=0)
    keys = list(Product.objects.order_by(F("title_key"), "pk").values_list("title_key", flat=True))
    assert keys == sorted(keys)
