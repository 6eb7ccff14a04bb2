"""An undo may take back some columns alone. A server of the former release makes undos of all."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("catalog", "0060_categories_in_order"),)
    operations = (
        migrations.AddField(
            "undojob",
            "columns",
            models.JSONField(
                blank=True,
                db_default=models.Value([], models.JSONField()),
                default=list,
                help_text="Only these columns go back, such as `price`; all without any.",
            ),
        ),
    )
