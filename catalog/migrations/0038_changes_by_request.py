"""An undo finds the changes of a request."""

from django.db import migrations, models

from config.api.database.indexes import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("catalog", "0037_undo"),)
    operations = (
        AddIndexOnline(
            "change",
            models.Index(
                fields=("request_id", "product_id", "position"),
                name="change_by_request",
                condition=~models.Q(request_id=""),
            ),
        ),
    )
