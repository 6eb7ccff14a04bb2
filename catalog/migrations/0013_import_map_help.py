"""The help text of an import's map says plainly what to write. No SQL runs."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("catalog", "0012_import_refusal"),)

    operations = (
        migrations.AlterField(
            model_name="importjob",
            name="map",
            field=models.TextField(
                blank=True,
                default="",
                help_text="field=column,… for each column that has another name than our field.",
            ),
        ),
    )
