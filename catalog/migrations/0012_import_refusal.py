"""ImportError is called ImportRefusal. No SQL runs: the table keeps its name, so both releases work during a deploy."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("catalog", "0011_followed_tables"),)

    operations = (
        # First, so that the renaming finds the table named already.
        migrations.AlterModelTable(name="ImportError", table="catalog_importerror"),
        migrations.RenameModel(old_name="ImportError", new_name="ImportRefusal"),
    )
