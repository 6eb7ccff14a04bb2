"""Fills the search documents in batches, each a statement of its own. If stopped, run `migrate` again."""

from typing import Any

from django.db import migrations

from catalog.search.documents import fill_documents


def fill(apps: Any, editor: Any) -> None:
    fill_documents(editor.connection)


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0023_documents"),)
    operations = (migrations.RunPython(fill),)
