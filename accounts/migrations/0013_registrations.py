"""Registrations that wait for their e-mail address to be confirmed."""

from django.db import migrations, models
from django.db.models.functions import Lower
from django.utils import timezone

KINDS = (
    "signed_in", "sign_in_failed", "signed_out", "session_ended", "token_created", "token_revoked", "password_changed",
    "reset_mailed", "registered", "groups_changed", "permissions_changed",
)  # fmt: skip


class Migration(migrations.Migration):
    dependencies = (("accounts", "0012_index_orders"),)
    operations = (
        migrations.AlterField(
            "event",
            "kind",
            models.CharField(max_length=20, choices=[(kind, kind.replace("_", " ").title()) for kind in KINDS]),
        ),
        migrations.CreateModel(
            "Registration",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("email", models.EmailField(max_length=254, verbose_name="e-mail address")),
                ("password", models.CharField(help_text="Hashed.", max_length=128)),
                ("first_name", models.CharField(blank=True, default="", max_length=150)),
                ("last_name", models.CharField(blank=True, default="", max_length=150)),
                ("created_at", models.DateTimeField(default=timezone.now)),
            ],
            options={
                "indexes": (
                    models.Index(Lower("email"), name="registration_by_email"),
                    models.Index(fields=["created_at"], name="registration_by_age"),
                )
            },
        ),
    )
