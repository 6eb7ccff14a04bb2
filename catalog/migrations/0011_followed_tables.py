"""Triggers that log and version are written from the models, and no more by hand: those of 0002 and 0004 go."""

from typing import Any

from django.db import migrations

from catalog.changes.logged import Logged
from catalog.changes.operations import FollowTable

TABLES = ("brand", "category", "product", "producttext", "variant", "stock", "image")
VERSIONED = ("brand", "category", "product", "text", "variant")
OPS = ("insert", "update", "delete")


def drop_written_by_hand(apps: Any, editor: Any) -> None:
    for statement in list_postgresql() if editor.connection.vendor == "postgresql" else list_sqlite():
        editor.execute(statement)


def list_postgresql() -> list[str]:
    functions = ["touch", "text_updated", *(f"log_{name}" for name in TABLES)]
    dropped = [f"DROP FUNCTION catalog_{name}() CASCADE" for name in functions]  # with the triggers that execute them
    return dropped + [f"DROP TRIGGER keep_key ON catalog_{name}" for name in TABLES]


def list_sqlite() -> list[str]:
    triggers = [f"touch_{name}" for name in VERSIONED] + [f"keep_{name}_key" for name in TABLES]
    return [f"DROP TRIGGER {name}" for name in triggers + [f"log_{name}_{op}" for name in TABLES for op in OPS]]


class Migration(migrations.Migration):
    dependencies = (("catalog", "0010_any_entity"),)
    operations = (
        migrations.RunPython(drop_written_by_hand),
        migrations.AlterModelOptions("brand", {"logged": Logged("brand"), "ordering": ("slug",)}),
        migrations.AlterModelOptions(
            "category",
            {
                "logged": Logged("category", derived=("path",)),
                "ordering": ("slug",),
                "verbose_name_plural": "categories",
            },
        ),
        migrations.AlterModelOptions(
            "product",
            {
                "logged": Logged("product", sku="sku", product="pk"),
                "permissions": (
                    ("export_product", "Can export products"),
                    ("import_product", "Can import products"),
                ),
            },
        ),
        migrations.AlterModelOptions("producttext", {"logged": Logged("text", product="product", touches="product")}),
        migrations.AlterModelOptions(
            "variant", {"logged": Logged("variant", sku="sku", product="product"), "ordering": ("position", "id")}
        ),
        migrations.AlterModelOptions(
            "stock",
            {
                "logged": Logged("stock", sku="variant__sku", product="variant__product"),
                "ordering": ("location",),
                "verbose_name_plural": "stock",
            },
        ),
        migrations.AlterModelOptions(
            "image", {"logged": Logged("image", product="product"), "ordering": ("position", "id")}
        ),
        *(FollowTable(name) for name in TABLES),
    )
