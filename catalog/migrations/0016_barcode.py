"""Variants are found by their barcodes."""

from django.db import migrations, models

from config.api.database.indexes import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0015_backlog"),)
    operations = (
        AddIndexOnline(
            "variant",
            models.Index(fields=("barcode",), condition=models.Q(barcode__gt=""), name="variant_by_barcode"),
        ),
    )
