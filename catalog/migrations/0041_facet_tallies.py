"""Triggers count active products by the values of facets from now on. The next migration counts those of before."""

from typing import Any

from django.db import migrations, models

from catalog.tallies.triggers import write_triggers


def follow_products(apps: Any, editor: Any) -> None:
    write_triggers(editor)


class Migration(migrations.Migration):
    dependencies = (("catalog", "0040_whole_products"),)
    operations = (
        migrations.DeleteModel("Tally"),
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("category", models.BigIntegerField()),
                ("kind", models.CharField(max_length=80)),
                ("key", models.TextField()),
                ("number", models.IntegerField()),
            ],
            options={
                "verbose_name_plural": "tallies",
                "abstract": False,
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("category", "kind", "key"), name="tally_once")],
            },
        ),
        migrations.CreateModel(
            name="TallyChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("category", models.BigIntegerField()),
                ("kind", models.CharField(max_length=80)),
                ("key", models.TextField()),
                ("number", models.IntegerField()),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
                "indexes": [models.Index(fields=["kind", "key"], name="tally_change_by_key")],
            },
        ),
        migrations.RunPython(follow_products),
    )
