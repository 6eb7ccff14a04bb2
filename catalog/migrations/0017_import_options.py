"""Imports have options, and tell which columns they did not read; errors name column, value, rule and remedy apart."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0016_barcode"),
    ]

    operations = [
        migrations.AddField(
            model_name="importjob",
            name="guessed",
            field=models.JSONField(
                blank=True,
                db_default=models.Value([], models.JSONField()),
                default=list,
                help_text="Options that nobody gave, and what was used.",
            ),
        ),
        migrations.AddField(
            model_name="importjob",
            name="options",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
                help_text="The other options, if they aren't the defaults.",
            ),
        ),
        migrations.AddField(
            model_name="importjob",
            name="unread_columns",
            field=models.JSONField(
                blank=True,
                db_default=models.Value([], models.JSONField()),
                default=list,
                help_text="Columns that weren't read, each with the field that it may mean.",
            ),
        ),
        migrations.AddField(
            model_name="importrefusal",
            name="column",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AddField(
            model_name="importrefusal",
            name="remedy",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AddField(
            model_name="importrefusal",
            name="rule",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AddField(
            model_name="importrefusal",
            name="value",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AlterField(
            model_name="importjob",
            name="format",
            field=models.CharField(blank=True, default="", max_length=20),
        ),
    ]
