"""The log has the ends of exports."""

from django.db import migrations

from catalog.changes.logged import Logged
from catalog.changes.operations import FollowTable


class Migration(migrations.Migration):
    dependencies = (("exports", "0005_google"), ("catalog", "0033_followed_attributes"))
    operations = (
        FollowTable("exportjob"),
        migrations.AlterModelOptions("exportjob", {"logged": Logged("export", only=("finished_at",))}),
        FollowTable("exportjob"),
    )
