"""The former search documents go. Servers of the former release answer no search until they are replaced."""

from typing import Any

from django.db import migrations

from catalog.migrations.sql import run_script


def drop_former(apps: Any, editor: Any) -> None:
    run_script(editor, "0026_former_documents")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0025_index_documents"),)
    operations = (migrations.RunPython(drop_former),)
