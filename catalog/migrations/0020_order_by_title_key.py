"""The index of lists by title."""

from django.db import migrations, models

from config.api.database.indexes import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0019_fill_title_keys"),)
    operations = (
        AddIndexOnline(
            "product",
            models.Index(fields=("title_key", "id"), name="product_by_title_key", condition=models.Q(status="active")),
        ),
    )
