"""The history of prices, which triggers write from now on. The next migration fills it with today's prices."""

from typing import Any

from django.db import migrations, models
from django.utils import timezone

import catalog.changes.logged
import catalog.changes.operations
from catalog.prices.triggers import create_triggers


def follow_prices(apps: Any, editor: Any) -> None:
    create_triggers(editor, timezone.now().isoformat())


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0046_filters_in_categories"),
    ]

    operations = [
        catalog.changes.operations.FollowTable(
            name="product",
        ),
        migrations.AlterModelOptions(
            name="product",
            options={
                "logged": catalog.changes.logged.Logged(
                    "product", derived=("title_key", "lowest_price_30_days"), product="pk", sku="sku"
                ),
                "permissions": (("export_product", "Can export products"), ("import_product", "Can import products")),
            },
        ),
        migrations.AddField(
            model_name="product",
            name="lowest_price_30_days",
            field=models.DecimalField(
                decimal_places=2,
                editable=False,
                help_text="Only with a `compare_at_price`: the lowest price in force in the 30 days before the present"
                " price began. Null if there was no other.",
                max_digits=12,
                null=True,
                verbose_name="lowest price of 30 days",
            ),
        ),
        migrations.CreateModel(
            name="ProductPrice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("price", models.DecimalField(decimal_places=2, max_digits=12)),
                ("currency", models.CharField(max_length=3)),
                ("since", models.DateTimeField()),
                ("writer", models.BigIntegerField(default=0)),
                ("product_id", models.BigIntegerField()),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
                "indexes": [models.Index(fields=["product_id", "since", "id"], name="productprice_by_product")],
            },
        ),
        migrations.CreateModel(
            name="VariantPrice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("price", models.DecimalField(decimal_places=2, max_digits=12)),
                ("currency", models.CharField(max_length=3)),
                ("since", models.DateTimeField()),
                ("writer", models.BigIntegerField(default=0)),
                ("variant_id", models.BigIntegerField()),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
                "indexes": [models.Index(fields=["variant_id", "since", "id"], name="variantprice_by_variant")],
            },
        ),
        migrations.RunPython(follow_prices),
        catalog.changes.operations.FollowTable(
            name="product",
        ),
    ]
