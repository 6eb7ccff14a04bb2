"""The words of titles and brands, which triggers report from now on. The next migration counts those that are there."""

from typing import Any

from django.db import migrations

from catalog.migrations.sql import run_script


def create_vocabulary(apps: Any, editor: Any) -> None:
    run_script(editor, "0031_vocabulary")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0030_store_product"),)
    operations = (migrations.RunPython(create_vocabulary),)
