"""Names of products by the letters inside their words: a trigram index on PostgreSQL, a second FTS5 table on SQLite."""

from typing import Any

from django.db import migrations

from catalog.migrations.sql import run_script
from config.api.database.extensions import create_extension


def create_trigrams(apps: Any, editor: Any) -> None:
    create_extension(editor, "pg_trgm", "by which parts of words are found")


def create_names(apps: Any, editor: Any) -> None:
    run_script(editor, "0005_partial_words")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0004_change_log"),)
    operations = (migrations.RunPython(create_trigrams), migrations.RunPython(create_names))
