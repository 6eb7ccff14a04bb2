"""Lines of orders say where their pieces were sent from, and what was shipped, also where an older server shipped it.

In a rolling restart a server of the former release sets an order's status without the pieces of its lines.
"""

from typing import Any

from django.db import migrations, models

from catalog.changes.operations import FollowTable

WHEN = """WHEN (NEW.status IN ('shipped', 'completed') AND OLD.status NOT IN ('shipped', 'completed'))"""
FILL = "UPDATE accounts_orderline SET shipped = quantity WHERE order_id = NEW.id AND shipped < quantity;"
CREATE = {
    "postgresql": (
        f"""CREATE FUNCTION accounts_fill_shipped() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN {FILL} RETURN NULL; END $$""",
        f"""CREATE TRIGGER fill_shipped AFTER UPDATE OF status ON accounts_order FOR EACH ROW {WHEN}
        EXECUTE FUNCTION accounts_fill_shipped()""",
    ),
    "sqlite": (f"CREATE TRIGGER fill_shipped AFTER UPDATE OF status ON accounts_order {WHEN} BEGIN {FILL} END",),
}
DROP = {
    "postgresql": ("DROP TRIGGER fill_shipped ON accounts_order", "DROP FUNCTION accounts_fill_shipped()"),
    "sqlite": ("DROP TRIGGER fill_shipped",),
}


def create_trigger(apps: Any, editor: Any) -> None:
    for statement in CREATE[editor.connection.vendor]:
        editor.execute(statement, params=None)


def drop_trigger(apps: Any, editor: Any) -> None:
    for statement in DROP[editor.connection.vendor]:
        editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = (("accounts", "0016_storekeepers"),)
    operations = (
        FollowTable("orderline"),
        migrations.AddField(
            "orderline",
            "sent_from",
            models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict, editable=False),
        ),
        FollowTable("orderline"),
        migrations.RunPython(create_trigger, drop_trigger),
    )
