"""The products on sale of each category: without any, a list of them is empty at once. Made while others write."""

from django.db import migrations, models

from config.api.database.indexes import AddIndexOnline

ON_SALE = models.Q(status="active", compare_at_price__gt=models.F("price"))


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0061_undo_columns"),)
    operations = (
        AddIndexOnline("product", models.Index(fields=("category",), condition=ON_SALE, name="product_on_sale")),
    )
