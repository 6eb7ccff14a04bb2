"""Adds the format `agentic`."""

from django.db import migrations, models

from catalog.changes.operations import FollowTable


class Migration(migrations.Migration):
    dependencies = [
        ("exports", "0007_feeds"),
    ]

    operations = [
        FollowTable(name="exportjob"),
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
                    ("agentic", "OpenAI's product feed (JSON Lines)"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="feed",
            name="format",
            field=models.CharField(
                choices=[
                    ("csv", "CSV"),
                    ("ndjson", "NDJSON"),
                    ("parquet", "Parquet"),
                    ("xlsx", "XLSX"),
                    ("google", "Google Merchant Center (RSS)"),
                    ("google_tsv", "Google Merchant Center (TSV)"),
                    ("agentic", "OpenAI's product feed (JSON Lines)"),
                ],
                max_length=10,
            ),
        ),
        FollowTable(name="exportjob"),
    ]
