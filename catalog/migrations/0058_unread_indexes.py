"""Products lose two indexes that nothing reads, and that each write of a product had to write, too (PostgreSQL).

Django gives a unique column of text a second index, for LIKE. Products are found by their whole SKU or slug; beginnings
are looked up among variants and in search documents.
"""

from typing import Any

from django.db import migrations

UNREAD = ("catalog_product_sku_5c54c070_like", "catalog_product_slug_f37848b0_like")


def drop_unread(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        for name in UNREAD:
            editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0057_by_statement"),)
    operations = (migrations.RunPython(drop_unread),)
