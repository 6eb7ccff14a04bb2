"""The indexes of search documents, made while others write."""

from typing import Any

from django.db import migrations

# ?search=words: by their beginnings, and by parts of them
INDEXES = {"producttext_document": "gin (document)", "producttext_parts": "gin (parts gin_trgm_ops)"}


def create_indexes(apps: Any, editor: Any) -> None:
    if editor.connection.vendor != "postgresql":
        return
    for name, columns in INDEXES.items():
        editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # an interrupted run leaves an invalid one
        editor.execute(f"CREATE INDEX CONCURRENTLY {name} ON catalog_producttext USING {columns}")


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0024_fill_documents"),)
    operations = (migrations.RunPython(create_indexes),)
