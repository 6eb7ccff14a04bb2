"""Gives the rows that are there their first price in the history, in batches. If stopped, run `migrate` again."""

from typing import Any

from django.db import migrations

from catalog.prices.filling import fill_prices


def fill(apps: Any, editor: Any) -> None:
    fill_prices(editor.connection)


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0047_price_history"),)
    operations = (migrations.RunPython(fill),)
