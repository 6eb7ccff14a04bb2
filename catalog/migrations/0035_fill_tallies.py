"""Counted the products, which 0042 does now."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("catalog", "0034_tallies"),)
    operations = ()
