"""Jobs that undo changes, and the permission to undo. The next migration adds the index that finds the changes."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0036_log_imports"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="UndoJob",
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
                ("request_id", models.CharField(blank=True, default="", max_length=100, verbose_name="request id")),
                (
                    "position",
                    models.BigIntegerField(
                        help_text="Products go back to what they were after this change.", null=True
                    ),
                ),
                ("products", models.JSONField(blank=True, default=list, help_text="Ids, with a position.")),
                ("force", models.BooleanField(default=False, help_text="Also overwrite what somebody changed since.")),
                (
                    "dry_run",
                    models.BooleanField(default=False, help_text="Report what an undo would do, and write nothing."),
                ),
                ("since", models.BigIntegerField(default=0, editable=False)),
                ("until", models.BigIntegerField(default=0, editable=False)),
                ("phase", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("last_key", models.BigIntegerField(default=0, editable=False)),
                (
                    "report",
                    models.JSONField(
                        blank=True, default=dict, help_text="Created, updated, deleted, skipped rows by table."
                    ),
                ),
                (
                    "steps",
                    models.JSONField(
                        blank=True, default=list, help_text="The first 50 rows: what they were, and are again."
                    ),
                ),
                (
                    "conflicts",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="The first 1,000 rows that weren't undone, each with a reason.",
                    ),
                ),
                ("conflicts_total", models.PositiveBigIntegerField(default=0)),
            ],
            options={
                "verbose_name": "undo",
            },
        ),
        migrations.AlterModelOptions(
            name="change",
            options={"ordering": ("-position",), "permissions": (("undo_change", "Can undo changes"),)},
        ),
        migrations.AddField(
            model_name="undojob",
            name="owner",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DB_SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="undojob",
            index=models.Index(fields=["owner", "-id"], name="undo_job_by_owner"),
        ),
        migrations.AddIndex(
            model_name="undojob",
            index=models.Index(fields=["status", "finished_at"], name="undo_job_by_status"),
        ),
    ]
