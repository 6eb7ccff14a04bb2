"""Counts the words of all products in batches, each in its own transaction. If stopped, run `migrate` again."""

from typing import Any

from django.db import migrations

from catalog.search.vocabulary import fill_words


def fill(apps: Any, editor: Any) -> None:
    fill_words(editor.connection.alias)


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0031_vocabulary"),)
    operations = (migrations.RunPython(fill),)
