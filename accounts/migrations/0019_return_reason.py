"""Lines of orders say why pieces came back last."""

from django.db import migrations, models

from catalog.changes.operations import FollowTable


class Migration(migrations.Migration):
    dependencies = (("accounts", "0018_viewers"),)
    operations = (
        FollowTable("orderline"),
        migrations.AddField(
            "orderline", "return_reason", models.CharField(blank=True, db_default="", default="", max_length=200)
        ),
        FollowTable("orderline"),
    )
