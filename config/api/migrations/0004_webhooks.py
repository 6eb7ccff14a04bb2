"""Webhooks and the attempts to deliver to them."""

from django.conf import settings
from django.db import migrations, models
from django.utils import timezone

from config.api.webhooks.signing import make_secret


class Migration(migrations.Migration):
    dependencies = [
        ("api", "0003_chore_runs"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fence", models.PositiveIntegerField(default=0, editable=False)),
                ("claims", models.PositiveIntegerField(db_default=0, default=0, editable=False)),
                ("leased_until", models.DateTimeField(editable=False, null=True)),
                ("url", models.CharField(max_length=2000, verbose_name="URL")),
                ("description", models.CharField(blank=True, default="", max_length=200)),
                (
                    "events",
                    models.JSONField(default=list, help_text="Names of events, as in product.updated or order.*."),
                ),
                (
                    "filters",
                    models.JSONField(blank=True, default=dict, help_text="Of products: brand, category, status."),
                ),
                ("expand", models.BooleanField(default=False, help_text="Send the row as the API shows it, too.")),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("paused", "Paused"), ("ended", "Ended")],
                        default="active",
                        max_length=10,
                    ),
                ),
                (
                    "error",
                    models.TextField(
                        blank=True, default="", help_text="Why nothing could be delivered, in a sentence."
                    ),
                ),
                (
                    "position",
                    models.BigIntegerField(help_text="The change log's position up to which everything is told."),
                ),
                ("failures", models.PositiveIntegerField(default=0)),
                ("failing_since", models.DateTimeField(blank=True, null=True)),
                (
                    "next_at",
                    models.DateTimeField(
                        default=timezone.now,
                        help_text="The time of the next attempt, if it waits for one.",
                    ),
                ),
                ("milliseconds", models.PositiveIntegerField(default=0, editable=False)),
                ("is_test_due", models.BooleanField(default=False, editable=False)),
                ("created_at", models.DateTimeField(default=timezone.now)),
                (
                    "secret",
                    models.CharField(default=make_secret, editable=False, max_length=100),
                ),
                ("former_secret", models.CharField(default="", editable=False, max_length=100)),
                ("former_until", models.DateTimeField(editable=False, null=True)),
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
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("message", models.CharField(help_text="webhook-id: the same for each attempt.", max_length=100)),
                ("type", models.CharField(max_length=40)),
                ("position", models.BigIntegerField(help_text="The position of the event's last change.", null=True)),
                ("attempt", models.PositiveIntegerField(default=1)),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("error", models.CharField(blank=True, default="", max_length=300)),
                (
                    "answer",
                    models.CharField(
                        blank=True, default="", help_text="The answer's first characters.", max_length=500
                    ),
                ),
                ("milliseconds", models.PositiveIntegerField(default=0)),
                ("at", models.DateTimeField(default=timezone.now)),
                (
                    "webhook",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=models.DB_CASCADE,
                        related_name="deliveries",
                        to="api.webhook",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
            },
        ),
        migrations.AddIndex(
            model_name="webhook",
            index=models.Index(fields=["owner", "-id"], name="webhook_by_owner"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["webhook", "-id"], name="delivery_by_webhook"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["at"], name="delivery_by_age"),
        ),
    ]
