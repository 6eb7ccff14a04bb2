"""The index of the former order by title goes. Servers of the former release then sort, until they are replaced."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("catalog", "0020_order_by_title_key"),)
    operations = (migrations.RemoveIndex("product", "product_by_title"),)
