"""Triggers count active products by brand and category from now on. The next migration counts those of before."""

from typing import Any

from django.db import migrations, models

from catalog.tallies import write_triggers


def follow_products(apps: Any, editor: Any) -> None:
    write_triggers(editor)


class Migration(migrations.Migration):
    dependencies = (("catalog", "0033_followed_attributes"),)
    operations = (
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=10)),
                ("key", models.BigIntegerField()),
                ("number", models.IntegerField()),
            ],
            options={
                "verbose_name_plural": "tallies",
                "default_permissions": (),
                "indexes": [models.Index(fields=["kind", "key", "number"], name="tally_by_key")],
            },
        ),
        migrations.RunPython(follow_products),
    )
