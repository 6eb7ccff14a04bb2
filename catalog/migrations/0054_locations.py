"""Locations are declared: those in use, and the default one. Orders take from the sellable ones."""

from typing import Any

import django.utils.timezone
from django.db import migrations, models

import catalog.changes.logged
import catalog.changes.operations
from catalog.migrations.sql import run_script


def declare_locations(apps: Any, editor: Any) -> None:
    run_script(editor, "0054_locations")


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0053_follow_counts"),
    ]

    operations = [
        migrations.CreateModel(
            name="Location",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("code", models.CharField(max_length=32, unique=True)),
                ("name", models.CharField(blank=True, default="", max_length=200)),
                ("sellable", models.BooleanField(default=True)),
                (
                    "priority",
                    models.PositiveIntegerField(default=1, help_text="Orders take from the lowest number first."),
                ),
                ("settled_to", models.BigIntegerField(editable=False, null=True)),
            ],
            options={
                "ordering": ("code",),
                "logged": catalog.changes.logged.Logged("location", derived=("settled_to",)),
            },
        ),
        # Before its changes are followed: an upgrade is none.
        migrations.RunPython(declare_locations),
        catalog.changes.operations.FollowTable(
            name="location",
        ),
    ]
