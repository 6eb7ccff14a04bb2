"""The filters of a category's products are read from indexes, made while others write.

Each takes the place of one: with attributes also the category (PostgreSQL), and with category and price also what else
lists of a category filter and order by.
"""

from typing import Any

from django.db import migrations, models

from config.api.database.extensions import create_extension
from config.api.database.indexes import AddIndexOnline

ATTRIBUTES = "product_by_attributes_category"


def index_attributes(apps: Any, editor: Any) -> None:
    create_extension(editor, "btree_gin", "by which attributes are found within a category")
    if editor.connection.vendor != "postgresql":
        return
    editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {ATTRIBUTES}")  # an interrupted run leaves an invalid one
    columns = "gin (attributes jsonb_path_ops, category_id)"
    editor.execute(f"CREATE INDEX CONCURRENTLY {ATTRIBUTES} ON catalog_product USING {columns}")
    editor.execute("DROP INDEX CONCURRENTLY IF EXISTS product_by_attributes")


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0045_edits"),)
    operations = (
        migrations.RunPython(index_attributes),
        AddIndexOnline(
            "product",
            models.Index(
                fields=("category", "price", "id"),
                include=("created_at", "rating", "in_stock", "compare_at_price", "brand", "title_key"),
                name="product_in_category",
                condition=models.Q(status="active"),
            ),
        ),
        migrations.RemoveIndex("product", "product_by_category_price"),
    )
