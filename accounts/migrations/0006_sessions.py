"""Whose a session is, beside Django's own table; a session from before is in no list, and ends with the password."""

from django.conf import settings
from django.db import migrations, models
from django.utils import timezone


class Migration(migrations.Migration):
    dependencies = (("accounts", "0005_scopes"), ("sessions", "0001_initial"))
    operations = (
        migrations.CreateModel(
            "SessionOwner",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created_at", models.DateTimeField(default=timezone.now)),
                ("address", models.CharField(max_length=45, blank=True, default="")),
                ("user_agent", models.CharField(max_length=200, blank=True, default="")),
                ("session", models.OneToOneField("sessions.Session", models.DB_CASCADE, related_name="owner")),
                ("user", models.ForeignKey(settings.AUTH_USER_MODEL, models.DB_CASCADE, related_name="sessions")),
            ],
            options={"verbose_name": "session", "verbose_name_plural": "sessions"},
        ),
    )
