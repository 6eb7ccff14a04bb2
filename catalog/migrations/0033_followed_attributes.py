"""Declared attributes are logged, so that answers which were read by them can be kept."""

from django.db import migrations

from catalog.changes.logged import Logged
from catalog.changes.operations import FollowTable


class Migration(migrations.Migration):
    dependencies = (("catalog", "0032_fill_vocabulary"),)
    operations = (
        FollowTable("attribute"),
        migrations.AlterModelOptions("attribute", {"logged": Logged("attribute"), "ordering": ("name",)}),
        FollowTable("attribute"),
    )
