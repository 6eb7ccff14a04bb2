"""Feeds: saved exports with a schedule and a stable address."""

from django.conf import settings
from django.db import migrations, models
from django.utils import timezone

from exports.models import make_feed_secret


class Migration(migrations.Migration):
    dependencies = [
        ("exports", "0006_log_exports"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Feed",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("description", models.CharField(blank=True, default="", max_length=200)),
                ("resource", models.CharField(max_length=20)),
                (
                    "format",
                    models.CharField(
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
                (
                    "compression",
                    models.CharField(
                        choices=[("none", "None"), ("gzip", "Gzip"), ("zstd", "Zstd")], default="none", max_length=10
                    ),
                ),
                ("filters", models.JSONField(blank=True, default=dict)),
                ("fields", models.TextField(blank=True, default="")),
                ("expand", models.TextField(blank=True, default="")),
                ("raw", models.BooleanField(default=False)),
                (
                    "every",
                    models.PositiveIntegerField(
                        default=60, help_text="Minutes between the beginnings of two files, at least."
                    ),
                ),
                (
                    "on_change",
                    models.BooleanField(default=False, help_text="Make a file only if something has changed."),
                ),
                ("secret", models.CharField(default=make_feed_secret, editable=False, max_length=40)),
                (
                    "due_at",
                    models.DateTimeField(default=timezone.now, help_text="When the next file may be begun."),
                ),
                (
                    "error",
                    models.TextField(
                        blank=True, default="", help_text="Why the last file couldn't be made, in a sentence."
                    ),
                ),
                ("created_at", models.DateTimeField(default=timezone.now)),
                (
                    "job",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=models.DB_SET_NULL,
                        related_name="served_by",
                        to="exports.exportjob",
                    ),
                ),
                (
                    "next_job",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=models.DB_SET_NULL,
                        related_name="+",
                        to="exports.exportjob",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=models.DB_CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["owner", "-id"], name="feed_by_owner"),
                    models.Index(fields=["due_at"], name="feed_by_due"),
                ],
            },
        ),
    ]
