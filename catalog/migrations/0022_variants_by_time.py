"""Variants are listed by the time of their last change."""

from django.db import migrations, models

from config.api.database.indexes import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0021_drop_title_index"),)
    operations = (AddIndexOnline("variant", models.Index(fields=("updated_at", "id"), name="variant_by_updated")),)
