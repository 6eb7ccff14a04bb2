"""The change log: its table, and the triggers that write it."""

from typing import Any

from django.db import migrations, models
from django.db.models import Q

from catalog.migrations.sql import run_script


def create_triggers(apps: Any, editor: Any) -> None:
    run_script(editor, "0004_change_log")


ENTITIES = ("product", "text", "variant", "stock", "image", "brand", "category")
OPS = ("create", "update", "delete", "truncate")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0003_export_permission"),)
    operations = (
        migrations.CreateModel(
            name="Change",
            fields=[
                ("position", models.BigAutoField(primary_key=True, serialize=False)),
                ("entity", models.CharField(choices=[(name, name.title()) for name in ENTITIES], max_length=10)),
                ("entity_id", models.BigIntegerField()),
                ("op", models.CharField(choices=[(name, name.title()) for name in OPS], max_length=10)),
                ("version", models.PositiveIntegerField(null=True)),
                ("sku", models.CharField(default="", max_length=100, verbose_name="SKU")),
                ("product_id", models.BigIntegerField(null=True)),
                ("at", models.DateTimeField()),
                ("numbered_at", models.DateTimeField()),
                ("actor", models.CharField(default="", max_length=100)),
                ("request_id", models.CharField(default="", max_length=100)),
                ("before", models.JSONField(null=True)),
            ],
            options={
                "ordering": ("-position",),
                "indexes": [
                    models.Index(
                        fields=["product_id", "position"],
                        name="change_by_product",
                        condition=Q(("product_id__isnull", False)),
                    ),
                    models.Index(
                        fields=["entity", "entity_id", "position"],
                        name="change_without_product",
                        condition=Q(("product_id__isnull", True)),
                    ),
                    models.Index(fields=["numbered_at", "position"], name="change_by_numbered"),
                    models.Index(fields=["position"], name="change_truncates", condition=Q(("op", "truncate"))),
                ],
            },
        ),
        migrations.RunPython(create_triggers),
    )
