"""Whatever column of a logged table changes by SQL: the log has it, the version counts it, the cache sees it."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import Field, JSONField, Model

from catalog.changes.entities import list_entities
from catalog.changes.log import number_changes
from catalog.changes.logged import find_logged
from catalog.changes.tables import MOVED, VERSION
from catalog.models import Attribute, Category, Change, Location, Product, Variant
from tests.factories import make_brand, make_category, make_product
from tests.gates import Ask, warm

pytestmark = pytest.mark.django_db

# Where the API shows a row of each.
ADDRESSES = {
    "brand": "/api/v1/brands/",
    "category": "/api/v1/categories/",
    "product": "/api/v1/products/",
    "text": "/api/v1/products/{product}/",
    "variant": "/api/v1/products/{product}/variants/",
    "stock": "/api/v1/products/{product}/variants/?expand=stock",
    "image": "/api/v1/products/{product}/images/",
    "attribute": "/api/v1/products/facets/",
    "location": "/api/v1/locations/",
}


@pytest.fixture
def product() -> Product:
    """With a row in each logged table, and a second one for foreign keys to lead to."""
    Attribute.objects.create(name="color")
    Location.objects.create(code="north")
    make_product(category=make_category("Home"), brand=make_brand("Brio"), variants=1, stock=0)
    return make_product(
        category=make_category("Food", "Tea"),
        brand=make_brand("Acme"),
        variants=1,
        images=1,
        stock=5,
        description="Old",
    )


def find_key(entity: str, product: Product) -> int:
    variant = product.variants.get()
    rows = {
        "brand": product.brand, "category": product.category, "product": product, "text": product, "variant": variant,
        "stock": variant.stock.get(), "image": product.images.get(),
        "attribute": Attribute.objects.get(), "location": Location.objects.get(code="north"),
    }  # fmt: skip
    key: int = rows[entity].pk
    return key


def choose_other(field: Any, row: Any) -> Any:
    """A value of the column that the row hasn't got, and that every constraint takes."""
    value = getattr(row, field.attname)
    if field.is_relation:
        # No row is its own parent.
        own = row.pk if field.related_model is type(row) else None
        return field.related_model._default_manager.exclude(pk=value).exclude(pk=own).first().pk
    if field.choices:
        return next(choice for choice, _ in field.choices if choice not in (value, "draft"))
    return json.dumps({"other": 1}) if isinstance(field, JSONField) else choose_value(field, value)


def choose_value(field: Any, value: Any) -> Any:
    match value:
        case bool():
            return not value
        case Decimal() | int():
            return value + 1
        case datetime():
            return value - timedelta(days=1)
        case None:
            return 7
    return "OTHER"[: field.max_length]


def list_columns(model: type[Model]) -> list[Field[Any, Any]]:
    """Those that are for others to write. What takes a row out of its list comes last."""
    own = {VERSION, MOVED, *find_logged(model).derived}  # type: ignore[union-attr]  # it is logged
    columns = [field for field in model._meta.concrete_fields if not (field.primary_key or field.name in own)]
    return sorted(columns, key=lambda field: (bool(field.choices), field.is_relation))


def read_newest() -> int:
    number_changes()
    return Change.objects.values_list("position", flat=True)[0]


def write(row: Any, field: Any) -> None:
    names = f"UPDATE {row._meta.db_table} SET {field.column} = %s WHERE {row._meta.pk.column} = %s"
    with connection.cursor() as cursor:
        cursor.execute(names, [choose_other(field, row), row.pk])
        assert cursor.rowcount == 1


@pytest.mark.parametrize("entity", ADDRESSES)
def test_each_column_is_logged_versioned_and_seen_by_the_cache(entity: str, product: Product, ask: Ask) -> None:
    model, key = list_entities()[entity], find_key(entity, product)
    address = ADDRESSES[entity].format(product=product.pk)
    for field in list_columns(model):
        row = model._default_manager.get(pk=key)
        # Who counts the changes: the row, or the product of a text; stock and images count none.
        counted: Any = Product.objects.get(pk=key) if entity == "text" else row
        warm(ask, address)
        before, newest = ask(address), read_newest()
        assert before[1]["X-Cache"] == "hit", field.name
        write(row, field)
        assert read_newest() > newest, field.name
        [change] = Change.objects.filter(position__gt=newest, entity=entity)
        assert (change.entity_id, change.op) == (key, "update"), field.name
        assert set(change.before) == {column.attname for column in model._meta.concrete_fields}
        after = ask(address)
        assert after[1]["X-Cache"] == "miss", field.name
        if f'"{field.name}":'.encode() in before[2]:
            assert after[2] != before[2], field.name
        if hasattr(counted, VERSION):
            version, moved = counted.version, counted.updated_at
            counted.refresh_from_db()
            assert (counted.version, counted.updated_at > moved) == (version + 1, True), field.name


def test_a_derived_column_alone_is_no_change() -> None:
    category = make_category("Food")
    newest = read_newest()
    Category.objects.update(path="0000000099")
    assert read_newest() == newest
    path, moved = "0000000099", category.updated_at
    category.refresh_from_db()
    assert (category.path, category.version, category.updated_at) == (path, 1, moved)


@pytest.mark.parametrize("model", [Product, Category, Variant])
def test_version_and_time_are_the_triggers_own(model: type[Model], product: Product) -> None:
    newest = read_newest()
    rows: Any = model._default_manager
    before = list(rows.order_by("pk").values(VERSION, MOVED))
    rows.update(version=99, updated_at="2001-01-01T00:00:00Z")
    assert list(rows.order_by("pk").values(VERSION, MOVED)) == before
    assert read_newest() == newest


def test_every_logged_model_is_written_here() -> None:
    # Those of accounts and the ends of jobs are in tests/accounts/test_order_changes.py.
    # What is planned is in no cache: tests/catalog/prices/test_scheduled.py.
    assert set(ADDRESSES) | {"order", "order_line", "export", "import", "scheduled_price"} == set(list_entities())
