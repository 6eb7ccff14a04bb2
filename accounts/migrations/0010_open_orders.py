"""Orders that are to be paid or shipped are counted and listed."""

from django.db import migrations, models

from config.api.database.indexes import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("accounts", "0009_undoers"),)
    operations = (
        AddIndexOnline(
            "order",
            models.Index(
                fields=("status", "id"),
                name="order_open_by_status",
                condition=models.Q(status__in=("placed", "paid")),
            ),
        ),
    )
