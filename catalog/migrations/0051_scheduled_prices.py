"""Prices that variants get at a time."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import catalog.changes.logged
import catalog.changes.operations


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0050_store_pictures"),
    ]

    operations = [
        migrations.CreateModel(
            name="ScheduledPrice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "price",
                    models.DecimalField(
                        decimal_places=2, max_digits=12, validators=[django.core.validators.MinValueValidator(0)]
                    ),
                ),
                ("starts_at", models.DateTimeField(verbose_name="from")),
                ("ends_at", models.DateTimeField(blank=True, null=True, verbose_name="until")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("active", "Active"),
                            ("ended", "Ended"),
                            ("missed", "Missed"),
                        ],
                        default="waiting",
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("price_before", models.DecimalField(decimal_places=2, editable=False, max_digits=12, null=True)),
                ("history_id", models.BigIntegerField(editable=False, null=True)),
                ("due_at", models.DateTimeField(editable=False, null=True)),
                ("author", models.CharField(default="", editable=False, max_length=100)),
                (
                    "variant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="scheduled_prices",
                        to="catalog.variant",
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
                "logged": catalog.changes.logged.Logged(
                    "scheduled_price", product="variant__product", sku="variant__sku"
                ),
                "indexes": [
                    models.Index(
                        condition=models.Q(("due_at__isnull", False)),
                        fields=["due_at", "id"],
                        name="scheduled_price_by_due",
                    ),
                    models.Index(fields=["variant", "starts_at"], name="scheduled_price_by_variant"),
                    models.Index(fields=["starts_at", "id"], name="scheduled_price_by_start"),
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("price__gte", 0)), name="scheduled_price_not_negative"),
                    models.CheckConstraint(
                        condition=models.Q(("ends_at", None), ("ends_at__gt", models.F("starts_at")), _connector="OR"),
                        name="scheduled_price_ends_later",
                    ),
                ],
            },
        ),
        catalog.changes.operations.FollowTable(
            name="scheduledprice",
        ),
    ]
