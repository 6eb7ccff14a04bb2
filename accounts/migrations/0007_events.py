"""The sign-in log; it begins empty."""

from django.conf import settings
from django.db import migrations, models
from django.utils import timezone

KINDS = (
    ("signed_in", "Signed In"),
    ("sign_in_failed", "Sign In Failed"),
    ("signed_out", "Signed Out"),
    ("session_ended", "Session Ended"),
    ("token_created", "Token Created"),
    ("token_revoked", "Token Revoked"),
    ("password_changed", "Password Changed"),
    ("reset_mailed", "Reset Mailed"),
    ("groups_changed", "Groups Changed"),
    ("permissions_changed", "Permissions Changed"),
)


def refer_to_user(**options: object) -> models.Field:  # type: ignore[type-arg]  # of whichever model the setting names
    return models.ForeignKey(settings.AUTH_USER_MODEL, models.DB_SET_NULL, null=True, blank=True, **options)  # type: ignore[arg-type]  # passed on


class Migration(migrations.Migration):
    dependencies = (("accounts", "0006_sessions"),)
    operations = (
        migrations.CreateModel(
            "Event",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(default=timezone.now)),
                ("kind", models.CharField(max_length=20, choices=KINDS)),
                ("user", refer_to_user(related_name="events", db_index=False)),
                ("actor", refer_to_user(related_name="+")),
                ("address", models.CharField(max_length=45, blank=True)),
                ("user_agent", models.CharField(max_length=200, blank=True)),
                ("detail", models.CharField(max_length=200, blank=True)),
            ],
            options={
                "verbose_name": "sign-in event",
                "ordering": ("-id",),
                "indexes": (
                    models.Index(fields=("user", "id"), name="event_by_user"),
                    models.Index(fields=("at",), name="event_by_age"),
                ),
            },
        ),
    )
