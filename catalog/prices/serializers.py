"""The body that plans a price."""

from rest_framework.serializers import DateTimeField

from catalog.models import ScheduledPrice
from catalog.prices.scheduling import schedule_price
from catalog.writes import values
from catalog.writes.fields import NumberField, TextField
from config.api.writes.bodies import StrictSerializer, Values


class ScheduledPriceWrite(StrictSerializer[ScheduledPrice]):
    """`{"sku": "TEA-1-L", "price": "9.50", "from": "2026-11-27T00:00:00Z", "until": "2026-12-01T00:00:00Z"}`

    Without `until` the price stays.
    """

    sku = TextField(values.SKU)
    price = NumberField(values.PRICE)
    # A word of Python.
    vars()["from"] = DateTimeField()
    until = DateTimeField(required=False, allow_null=True)

    def create(self, validated_data: Values) -> ScheduledPrice:
        return schedule_price(validated_data)
