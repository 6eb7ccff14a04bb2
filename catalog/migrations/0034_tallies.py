"""A table of 0041, in its former shape. The triggers that write it are made there, too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("catalog", "0033_followed_attributes"),)
    operations = (
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=10)),
                ("key", models.BigIntegerField()),
                ("number", models.IntegerField()),
            ],
            options={
                "verbose_name_plural": "tallies",
                "default_permissions": (),
                "indexes": [models.Index(fields=["kind", "key", "number"], name="tally_by_key")],
            },
        ),
    )
