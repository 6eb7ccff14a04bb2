"""Orders and their lines are logged; the log's triggers count the versions of orders in place of those of 0003."""

from typing import Any

from django.db import migrations, models
from django.db.models.functions import Now
from django.utils import timezone

from catalog.changes.logged import Logged
from catalog.changes.operations import FollowTable

FORMER = {
    "postgresql": ("DROP TRIGGER touch_order ON accounts_order", "DROP TRIGGER keep_order ON accounts_order"),
    "sqlite": ("DROP TRIGGER touch_order",),
}
LINES = Logged("order_line", sku="sku", touches="order", derived=("product", "variant"))


def drop_former_triggers(apps: Any, editor: Any) -> None:
    for statement in FORMER[editor.connection.vendor]:
        editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = (("accounts", "0007_events"), ("catalog", "0033_followed_attributes"))
    operations = (
        migrations.RunPython(drop_former_triggers),
        migrations.AlterModelOptions("order", {"logged": Logged("order")}),
        migrations.AlterModelOptions("orderline", {"logged": LINES, "ordering": ("id",)}),
        # Orders of before have the time of this migration: to write placed_at into each would lock all of them.
        migrations.AddField(
            "order", "updated_at", models.DateTimeField(db_default=Now(), default=timezone.now, editable=False)
        ),
        FollowTable("orderline"),
        FollowTable("order"),
    )
