"""The functions that derive a product's columns plan their statements once a session (PostgreSQL).

An array as parameter looks cheaper to plan anew than to plan for any, so they were planned at each write: a single
price took 1,293 microseconds, and takes 500; a thousand in one statement cost what they did (PostgreSQL 15).
"""

from typing import Any

from django.db import migrations

DERIVING = ("catalog_derive_price", "catalog_derive_stock", "catalog_derive_image")


def keep_plans(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        for name in DERIVING:
            editor.execute(f"ALTER FUNCTION {name}(bigint[]) SET plan_cache_mode = force_generic_plan")


class Migration(migrations.Migration):
    dependencies = (("catalog", "0005_partial_words"),)
    operations = (migrations.RunPython(keep_plans),)
