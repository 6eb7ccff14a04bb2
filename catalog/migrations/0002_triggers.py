"""Triggers, full-text and JSON indexes: what Django's migrations have no words for, one SQL file a database."""

from typing import Any

from django.db import migrations

from catalog.migrations.sql import run_script


def create_triggers(apps: Any, editor: Any) -> None:
    run_script(editor, "0002_triggers")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0001_initial"),)
    operations = (migrations.RunPython(create_triggers),)
