"""Ordinary migrations of logged tables that hold rows: all triggers stay, and a new column is logged like the others.

Each is what `makemigrations` would write, run by Django's own schema editor, forwards and back again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations import AddConstraint, AddField, AlterField, CreateModel, RemoveField, RenameField, RunSQL
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.state import ProjectState
from django.utils import timezone

from catalog.changes.autodetector import FollowingAutodetector
from catalog.changes.entities import list_entities
from catalog.changes.log import number_changes
from catalog.changes.logged import Logged, find_logged
from catalog.changes.operations import FollowTable
from catalog.models import Attribute, Change, Product, ScheduledPrice, Stock, Variant
from config.api.database.storing import OPTION as STORED
from config.api.database.storing import StoreRows
from config.operation.doctor import Level, examine_database
from tests.factories import make_brand, make_category, make_product
from tests.migrating import read_state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

# Of the catalogue; tests/accounts/test_order_changes.py has orders, and a job is logged by its end alone.
LOGGED = {
    entity: model
    for entity, model in list_entities().items()
    if model._meta.app_label == "catalog" and not find_logged(model).only  # type: ignore[union-attr]  # it is logged
}
TABLES = {entity: model._meta.db_table for entity, model in LOGGED.items()}
NAMES = {entity: model._meta.model_name or "" for entity, model in LOGGED.items()}

TRIGGERS = {
    "sqlite": "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY name",
    "postgresql": """
        SELECT t.tgrelid::regclass::text, t.tgname, t.tgtype, t.tgenabled, t.tgattr::text, pg_get_functiondef(t.tgfoid)
        FROM pg_trigger t WHERE NOT t.tgisinternal ORDER BY 1, 2
    """,
}


def read_triggers() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS[connection.vendor])
        return cursor.fetchall()


def ask(sql: str, *values: Any) -> Any:
    """The first value of the first row; None of a statement that gives none."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone()[0] if cursor.description else None


@pytest.fixture
def product() -> Product:
    """With a row in each logged table."""
    Attribute.objects.create(name="color")
    tea = make_product(
        sku="TEA-1", title="Tea", brand=make_brand("Acme"), category=make_category("Food"), price="9.00", stock=2
    )
    ScheduledPrice.objects.create(variant=tea.variants.get(), price=3, starts_at=timezone.now())
    return tea


@contextmanager
def migrated(*operations: Any) -> Iterator[None]:
    """The database with these operations, as `makemigrations` surrounds them, and without them afterwards."""
    before, triggers = read_state(), read_triggers()
    if any(isinstance(operation, FieldOperation) for operation in operations):
        # The serializers, and so the triggers of stored rows, don't know the changed columns.
        stored = [StoreRows(name) for (_, name), model in before.models.items() if STORED in model.options]
        operations = (*stored, *operations)
    after = before.clone()
    for operation in operations:
        operation.state_forwards("catalog", after)
    migration = Migration("tried", "catalog")
    migration.operations = list(FollowingAutodetector(before, after).surround("catalog", list(operations)))
    with connection.schema_editor() as editor:
        migration.apply(before.clone(), editor)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            migration.unapply(before.clone(), editor)
    assert read_triggers() == triggers, "the way back leads to what was"


def check_change(entity: str, column: str, value: Any, was: Any) -> None:
    """The column, changed by SQL, is a change of its row, and counted where the table counts versions."""
    table = TABLES[entity]
    key = {"text": "product_id"}.get(entity, "id")
    row = ask(f"SELECT max({key}) FROM {table}")
    counts = "SELECT version FROM {} WHERE id = %s"
    counted = {"text": "catalog_product", "stock": "", "image": "", "attribute": ""}.get(entity, table)
    version = ask(counts.format(counted), row) if counted else None
    number_changes()
    newest = Change.objects.values_list("position", flat=True)[0]
    ask(f"UPDATE {table} SET {column} = %s WHERE {key} = %s", value, row)
    number_changes()
    [change] = Change.objects.filter(position__gt=newest, entity=entity)
    assert (change.entity_id, change.op, change.before[column]) == (row, "update", was)
    if version is not None:
        assert ask(counts.format(counted), row) == version + 1


def check_derived(product: Product) -> None:
    """What the other triggers keep true."""
    Variant.objects.filter(product_id=product.pk).update(price=Decimal("3.00"))
    Stock.objects.update(on_hand=0)
    price, in_stock = (
        ask("SELECT price FROM catalog_product WHERE id = %s", product.pk),
        ask("SELECT in_stock FROM catalog_product WHERE id = %s", product.pk),
    )
    assert (Decimal(str(price)), bool(in_stock)) == (Decimal("3.00"), False)
    ask("UPDATE catalog_brand SET name = 'Ferro'")
    ask("UPDATE catalog_category SET parent_id = NULL")
    assert [row.pk for row in Product.objects.matching("ferro tea").only("pk")] == [product.pk]
    with pytest.raises(IntegrityError, match="for life"), transaction.atomic():
        ask("UPDATE catalog_stock SET id = id + 1000")


def test_a_field_with_a_default_is_added_and_logged(product: Product) -> None:
    field = models.CharField(max_length=20, default="plain")
    with migrated(*(AddField(name, "finish", field.clone()) for name in NAMES.values())):
        for entity in TABLES:
            check_change(entity, "finish", "matt", "plain")
        check_derived(product)


def test_a_nullable_field_is_added_and_logged(product: Product) -> None:
    field = models.JSONField(null=True)
    with migrated(*(AddField(name, "finish", field.clone()) for name in NAMES.values())):
        for entity in TABLES:
            check_change(entity, "finish", '{"coat": 2}', None)
            check_change(entity, "finish", None, {"coat": 2})
        check_derived(product)


# A column of text of each, some of which triggers name in their conditions.
WIDENED = {
    "brand": "name", "category": "name", "product": "title", "text": "seo_title", "variant": "sku", "stock": "location",
    "image": "url", "attribute": "name",
}  # fmt: skip


def test_a_field_gets_another_type(product: Product) -> None:
    wider = {}
    for entity, name in WIDENED.items():
        field = list_entities()[entity]._meta.get_field(name).clone()
        field.max_length += 17
        wider[entity] = AlterField(NAMES[entity], name, field)
    with migrated(*wider.values()):
        for entity, name in WIDENED.items():
            was = ask(f"SELECT {name} FROM {TABLES[entity]} ORDER BY 1 DESC LIMIT 1")
            check_change(entity, name, f"{was} of late", was)
        check_derived(Product.objects.get(pk=product.pk))


# Columns that no other trigger names; of stock one names each.
RENAMED = {
    "brand": "slug", "category": "slug", "product": "slug", "text": "seo_title", "variant": "barcode",
    "image": "alt", "attribute": "name",
}  # fmt: skip


def test_a_field_is_renamed(product: Product) -> None:
    with migrated(*(RenameField(NAMES[entity], name, "renamed") for entity, name in RENAMED.items())):
        for entity in RENAMED:
            check_change(entity, "renamed", "new", ask(f"SELECT renamed FROM {TABLES[entity]}"))


BY_HAND = """
CREATE TRIGGER by_hand AFTER UPDATE OF source_id ON catalog_image
BEGIN
    UPDATE catalog_image SET alt = NEW.source_id WHERE id = NEW.id;
END"""


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL renames a column in place, and remakes no table")
def test_a_trigger_written_by_hand_learns_the_new_name_of_a_foreign_key(product: Product) -> None:
    link = models.ForeignKey("catalog.Brand", models.DO_NOTHING, null=True)
    trigger = RunSQL([(BY_HAND, None)], [("DROP TRIGGER by_hand", None)])
    with migrated(AddField("image", "source", link), trigger, RenameField("image", "source", "origin")):
        ask("UPDATE catalog_image SET origin_id = %s", product.brand_id)
        assert ask("SELECT alt FROM catalog_image") == str(product.brand_id)


def test_a_field_is_removed_and_another_renamed_at_once(product: Product) -> None:
    # Of a product, each column but the slug is named by other triggers or indexes.
    gone = {"brand": "created_at", "text": "seo_title", "variant": "options", "image": "alt"}
    stays = {"brand": "slug", "product": "slug", "text": "seo_description", "variant": "weight", "image": "url"}
    operations = [RemoveField(NAMES[entity], name) for entity, name in gone.items()]
    renamed = [RenameField(NAMES[entity], name, "renamed") for entity, name in stays.items() if entity != "image"]
    with migrated(*operations, *renamed):
        for entity in stays:
            if entity != "image":
                check_change(
                    entity, "renamed", 7 if entity == "variant" else "new", ask(f"SELECT renamed FROM {TABLES[entity]}")
                )
        check_change("image", "url", "new", ask("SELECT url FROM catalog_image"))


def test_a_constraint_is_added(product: Product) -> None:
    rules = {name: models.CheckConstraint(condition=models.Q(pk__gte=0), name=f"{name}_key") for name in NAMES.values()}
    before = read_triggers()
    with migrated(*(AddConstraint(name, rule) for name, rule in rules.items())):
        assert read_triggers() == before
        check_derived(product)


# -- a table of somebody else's ----------------------------------------------------------------------------------

COURIER = CreateModel(
    "Courier",
    [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=50)),
        ("product", models.ForeignKey("catalog.Product", models.CASCADE)),
        ("scan", models.BinaryField(null=True)),
        ("shown", models.CharField(max_length=50, default="")),
        ("version", models.PositiveIntegerField(default=1)),
        ("updated_at", models.DateTimeField(null=True)),
    ],
    {"logged": Logged("courier", sku="product__sku", product="product", derived=("shown",))},
)  # fmt: skip


def test_a_new_table_is_logged_without_a_line_of_sql(product: Product) -> None:
    with migrated(COURIER):
        number_changes()
        newest = Change.objects.values_list("position", flat=True)[0]
        ask(
            "INSERT INTO catalog_courier (id, name, product_id, shown, version) VALUES (5, 'Mia', %s, '', 1)",
            product.pk,
        )
        ask("UPDATE catalog_courier SET name = 'Leo', shown = 'LEO'")
        ask("UPDATE catalog_courier SET shown = 'L.'")
        ask("UPDATE catalog_courier SET scan = %s", b"\x01\xfe")
        ask("DELETE FROM catalog_courier")
        number_changes()
        lines = Change.objects.filter(position__gt=newest).order_by("position")
        assert [(line.op, line.version, line.sku, line.product_id) for line in lines] == [
            ("create", 1, "TEA-1", product.pk), ("update", 2, "TEA-1", product.pk),
            ("update", 3, "TEA-1", product.pk), ("delete", 3, "TEA-1", product.pk),
        ]  # fmt: skip
        assert [line.before and line.before["name"] for line in lines] == [None, "Mia", "Leo", "Leo"]
        assert [line.before and line.before["scan"] for line in lines] == [None, None, None, "\\x01fe"]


def detect(change: Callable[[ProjectState], None]) -> list[Any]:
    """What `makemigrations` writes for the catalogue."""
    loader = MigrationLoader(connection)
    before = loader.project_state()
    after = before.clone()
    change(after)
    [migration] = FollowingAutodetector(before, after).changes(graph=loader.graph)["catalog"]
    return [
        operation.name if isinstance(operation, FollowTable) else type(operation) for operation in migration.operations
    ]


def test_makemigrations_follows_the_tables_by_itself() -> None:
    def add(state: ProjectState) -> None:
        state.add_field("catalog", "stock", "shelf", models.CharField(max_length=9, default=""), preserve_default=True)

    def declare(state: ProjectState) -> None:
        state.models["catalog", "importrefusal"].options["logged"] = Logged("refusal")

    def forget(state: ProjectState) -> None:
        del state.models["catalog", "image"].options["logged"]

    assert detect(add) == ["stock", AddField, "stock"]
    assert [part if isinstance(part, str) else part.__name__ for part in detect(declare)] == [
        "importrefusal", "AlterModelOptions", "importrefusal",
    ]  # fmt: skip
    assert [part for part in detect(forget) if isinstance(part, str)] == ["image", "image"]
    assert detect(lambda state: COURIER.state_forwards("catalog", state)) == [CreateModel, "courier"]


def test_a_table_whose_triggers_are_not_its_models_is_named() -> None:
    assert not run_checks(tags=["database"], databases=["default"])
    before = read_state()
    migration = Migration("tried", "catalog")
    migration.operations = [AddField("stock", "shelf", models.IntegerField(null=True)), FollowTable("stock")]
    with connection.schema_editor() as editor:
        migration.apply(before.clone(), editor)
    try:
        [found] = run_checks(tags=["database"], databases=["default"])
        assert "catalog_stock" in found.msg
        assert [
            finding for finding in examine_database() if finding.detail == found.msg and finding.level == Level.ERROR
        ]
    finally:
        with connection.schema_editor() as editor:
            migration.unapply(before.clone(), editor)
            after = before.clone()
            FollowTable("stock").database_forwards("catalog", editor, before, after)
    assert not run_checks(tags=["database"], databases=["default"])
