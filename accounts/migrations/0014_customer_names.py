"""The admin finds customers by their names, and by the names of their addresses."""

from django.db import migrations, models
from django.db.models.functions import Lower

from config.api.database.indexes import AddIndexOnline


def add(model: str, column: str, name: str) -> AddIndexOnline:
    return AddIndexOnline(model, models.Index(Lower(column), name=name))


class Migration(migrations.Migration):
    atomic = False
    dependencies = (
        ("accounts", "0013_registrations"),
        ("auth", "0012_alter_user_first_name_max_length"),
    )
    operations = (
        add("address", "name", "address_by_name"),
        add("user", "last_name", "user_by_last_name"),
        add("user", "first_name", "user_by_first_name"),
    )
