"""An entity's name may be longer, and one that this release doesn't know (PostgreSQL's columns; SQLite has no lengths).

Not Django's own AlterField: on SQLite that would copy the whole log. PostgreSQL notes the new length, and reads no row.
"""

from typing import Any

from django.db import migrations, models

TABLES = ("catalog_change", "catalog_change_inbox")


def lengthen(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        for table in TABLES:
            editor.execute(f"ALTER TABLE {table} ALTER entity TYPE varchar(60)")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0009_claims"),)
    operations = (
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(lengthen, migrations.RunPython.noop)],
            [migrations.AlterField("change", "entity", models.CharField(max_length=60))],
        ),
    )
