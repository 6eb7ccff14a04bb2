"""Lists of orders by their last change and by status, and the search for a SKU."""

from django.db import migrations, models

from config.api.database.indexes import AddIndexOnline


def add(name: str, *fields: str, model: str = "order") -> AddIndexOnline:
    return AddIndexOnline(model, models.Index(fields=fields, name=name))


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("accounts", "0011_more_of_orders"),)
    operations = (
        add("order_by_user_updated", "user", "updated_at", "id"),
        add("order_by_updated", "updated_at", "id"),
        add("order_by_status", "status", "placed_at", "id"),
        add("order_by_status_updated", "status", "updated_at", "id"),
        add("order_line_by_sku", "sku", "order", model="orderline"),
    )
