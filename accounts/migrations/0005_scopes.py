"""What a token may do and from where, its parent and its last use; the tokens that there are may do everything."""

from django.conf import settings
from django.db import migrations, models

EVERYTHING = models.Value([], models.JSONField())


class Migration(migrations.Migration):
    dependencies = (("accounts", "0004_importers"),)
    operations = (
        migrations.AddField(
            "authtoken",
            "scopes",
            models.JSONField(default=list, db_default=EVERYTHING, help_text="None: all of them."),
        ),
        migrations.AddField(
            "authtoken",
            "allowed_ips",
            models.JSONField("networks", default=list, db_default=EVERYTHING, help_text="None: from anywhere."),
        ),
        migrations.AddField("authtoken", "last_used_at", models.DateTimeField(null=True, blank=True)),
        migrations.AddField("authtoken", "created_by", models.CharField(max_length=40, default="", db_default="")),
        migrations.AddField(
            "authtoken",
            "parent",
            models.ForeignKey(
                settings.KNOX_TOKEN_MODEL, models.DB_CASCADE, null=True, blank=True, related_name="children"
            ),
        ),
        # Django has a model end by the database alone, or not at all.
        migrations.AlterField(
            "authtoken",
            "user",
            models.ForeignKey(settings.AUTH_USER_MODEL, models.DB_CASCADE, related_name="auth_token_set"),
        ),
    )
