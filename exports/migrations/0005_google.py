from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("exports", "0004_rights"),
    ]

    operations = [
        migrations.AlterField(
            model_name="exportjob",
            name="format",
            field=models.CharField(
                choices=[
                    ("csv", "CSV"),
                    ("ndjson", "NDJSON"),
                    ("parquet", "Parquet"),
                    ("xlsx", "XLSX"),
                    ("google", "Google Merchant Center (RSS)"),
                    ("google_tsv", "Google Merchant Center (TSV)"),
                ],
                max_length=10,
            ),
        ),
    ]
