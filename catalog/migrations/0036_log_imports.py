"""The log has the ends of imports."""

from django.db import migrations

from catalog.changes.logged import Logged
from catalog.changes.operations import FollowTable


class Migration(migrations.Migration):
    dependencies = (("catalog", "0035_fill_tallies"),)
    operations = (
        FollowTable("importjob"),
        migrations.AlterModelOptions("importjob", {"logged": Logged("import", only=("finished_at",))}),
        FollowTable("importjob"),
    )
