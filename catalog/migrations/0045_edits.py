"""Jobs that edit many products."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0044_stock_versions"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="EditJob",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fence", models.PositiveIntegerField(default=0, editable=False)),
                ("claims", models.PositiveIntegerField(db_default=0, default=0, editable=False)),
                ("leased_until", models.DateTimeField(editable=False, null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("ready", "Ready"),
                            ("failed", "Failed"),
                            ("canceled", "Canceled"),
                            ("expired", "Expired"),
                        ],
                        default="queued",
                        max_length=10,
                    ),
                ),
                ("rows_done", models.PositiveBigIntegerField(default=0)),
                ("rows_total", models.PositiveBigIntegerField(help_text="Null until it is known.", null=True)),
                ("bytes", models.PositiveBigIntegerField(default=0)),
                ("percent", models.PositiveSmallIntegerField(default=0)),
                (
                    "seconds_left",
                    models.PositiveIntegerField(help_text="An estimate; null where none can be made.", null=True),
                ),
                ("error", models.TextField(blank=True, default="", help_text="Why it failed, in a sentence.")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
                (
                    "file",
                    models.CharField(blank=True, default="", help_text="Its name in the storage.", max_length=200),
                ),
                ("pushed_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("query", models.TextField(blank=True, default="")),
                ("keys", models.JSONField(blank=True, default=list, help_text="Ids of the selected products.")),
                ("values", models.JSONField(blank=True, default=dict, help_text="What to change, as the form had it.")),
                ("since", models.BigIntegerField(default=0, editable=False)),
                ("until_key", models.BigIntegerField(default=0, editable=False)),
                ("last_key", models.BigIntegerField(default=0, editable=False)),
                (
                    "report",
                    models.JSONField(blank=True, default=dict, help_text="Changed, unchanged and refused rows."),
                ),
                (
                    "refusals",
                    models.JSONField(blank=True, default=list, help_text="The first 1,000 refused rows, with reasons."),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DB_SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "bulk edit",
                "indexes": [
                    models.Index(fields=["owner", "-id"], name="edit_job_by_owner"),
                    models.Index(fields=["status", "finished_at"], name="edit_job_by_status"),
                ],
            },
        ),
    ]
