"""Orders have addresses, a note and the customer's reference; their lines say what was shipped and what came back."""

from typing import Any

from django.db import migrations, models

from catalog.changes.logged import Logged
from catalog.changes.operations import FollowTable, drop_triggers

# All pieces of these orders were shipped.
SHIPPED = ("shipped", "completed")


def fill_shipped(apps: Any, editor: Any) -> None:
    """Without the log's triggers, which FollowTable creates again: nothing happened to these orders."""
    line = apps.get_model("accounts", "OrderLine")
    drop_triggers(editor, line)
    line.objects.using(editor.connection.alias).filter(order__status__in=SHIPPED).update(shipped=models.F("quantity"))


def add_text(name: str, length: int, **options: Any) -> migrations.AddField:
    return migrations.AddField(
        "order", name, models.CharField(max_length=length, blank=True, default="", db_default="", **options)
    )


def add_count(name: str) -> migrations.AddField:
    return migrations.AddField("orderline", name, models.PositiveIntegerField(default=0, db_default=0))


class Migration(migrations.Migration):
    dependencies = (("accounts", "0010_open_orders"), ("catalog", "0044_stock_versions"))
    operations = (
        FollowTable("order"),
        FollowTable("orderline"),
        migrations.AlterModelOptions("order", {"logged": Logged("order", sku="number")}),
        migrations.AddField("order", "shipping_address", models.JSONField(blank=True, null=True)),
        migrations.AddField("order", "billing_address", models.JSONField(blank=True, null=True)),
        add_text("note", 1000),
        add_text("reference", 100, help_text="The customer's own name for the order."),
        add_text("request_hash", 64, editable=False),
        add_count("shipped"),
        add_count("returned"),
        migrations.AddConstraint(
            "order",
            models.UniqueConstraint(
                fields=("reference", "user"), condition=models.Q(reference__gt=""), name="order_reference_once"
            ),
        ),
        migrations.AddConstraint(
            "orderline",
            models.CheckConstraint(
                condition=models.Q(shipped__lte=models.F("quantity"), returned__lte=models.F("shipped")),
                name="order_line_shipped_first",
            ),
        ),
        migrations.RunPython(fill_shipped, migrations.RunPython.noop),
        FollowTable("order"),
        FollowTable("orderline"),
    )
