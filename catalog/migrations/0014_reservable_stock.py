"""Product.in_stock says what an order can reserve: pieces at the location main. Products elsewhere only change once."""

from typing import Any

from django.db import migrations

from catalog.migrations.sql import run_script


def follow_orders(apps: Any, editor: Any) -> None:
    run_script(editor, "0014_reservable_stock")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0013_import_map_help"),)
    operations = (migrations.RunPython(follow_orders),)
