"""The index of barcodes also serves their beginnings."""

from django.db import migrations, models

from config.api.database.indexes import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0026_drop_former_documents"),)
    operations = (
        AddIndexOnline(
            "variant",
            models.Index(
                fields=("barcode",),
                condition=models.Q(barcode__gt=""),
                name="variant_by_barcode_begun",
                opclasses=("varchar_pattern_ops",),
            ),
        ),
        migrations.RemoveIndex("variant", "variant_by_barcode"),
    )
