"""Counts the products that are there, 50 categories at a time. If stopped, run `migrate` again."""

from typing import Any

from django.db import migrations

from catalog.tallies.folding import recount


def fill(apps: Any, editor: Any) -> None:
    recount(editor.connection.alias)


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0041_facet_tallies"),)
    operations = (migrations.RunPython(fill),)
