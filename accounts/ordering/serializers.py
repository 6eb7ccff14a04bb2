"""Orders as JSON, and the bodies that place, change, ship and return them."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework.serializers import (
    BooleanField,
    CharField,
    Field,
    IntegerField,
    JSONField,
    ModelSerializer,
    ValidationError,
)

from accounts.models import Order, OrderLine
from accounts.ordering.changes import change_order
from accounts.ordering.shipments import ship_pieces, take_back
from accounts.orders import GREATEST_QUANTITY, place_order
from accounts.serializers import AddressWrite
from catalog.writes.fields import TextField, WholeField
from catalog.writes.texts import compose
from catalog.writes.values import LOCATION, REASON, Key, Text, Whole
from config.api.reads.addresses import TextAddressField
from config.api.writes.bodies import ChoiceField, StrictSerializer, name_type

# The most lines of an order: it is shown with all of them, and placing it locks all their products.
GREATEST_LINES = 100
NOTE = Text(1000)
REFERENCE = Key(100)

SHOWN_ADDRESS = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("name", "line1", "line2", "city", "postcode", "country")},
}


@extend_schema_field({**SHOWN_ADDRESS, "nullable": True})
class CopiedAddressField(JSONField):
    """A copy of an address: `{"name": "Mia Wu", "line1": "1 High St", …, "country": "GB"}`; null if there is none."""


class OrderLineRead(ModelSerializer[OrderLine]):
    """`{"sku": "TEA-1-S", "title": "Tea", "price": "4.50", "quantity": 2, "shipped": 0, "returned": 0, …}`

    A copy from when the order was placed. `product` is null if the product was deleted. `return_reason` says why pieces
    came back last, or is "".
    """

    class Meta:
        model = OrderLine
        fields = ("sku", "title", "price", "quantity", "shipped", "returned", "return_reason", "product")


class OrderRead(ModelSerializer[Order]):
    """`{"number": "7K3M9QWTX2FA", "status": "placed", "total": "9.00", "lines": […], …}`, as it was placed."""

    shipping_address = CopiedAddressField(read_only=True, allow_null=True)
    billing_address = CopiedAddressField(read_only=True, allow_null=True)
    lines = OrderLineRead(many=True, read_only=True, max_length=GREATEST_LINES)  # type: ignore[call-arg]  # many=True makes a ListSerializer
    url = TextAddressField(view_name="order-detail", lookup_field="number")

    class Meta:
        model = Order
        fields = (
            "number",
            "user",
            "status",
            "currency",
            "subtotal",
            "total",
            "shipping_address",
            "billing_address",
            "note",
            "reference",
            "placed_at",
            "updated_at",
            "version",
            "lines",
            "url",
        )
        shown: ClassVar = ("lines",)


@extend_schema_field(
    {
        "oneOf": [{"type": "integer", "format": "int64"}, {"$ref": "#/components/schemas/AddressRequest"}],
        "nullable": True,
        "description": "The id of an address of the customer, or an address. The order keeps a copy.",
    }
)
class OrderAddressField(Field[Any, Any, Any, Any]):
    """The id of an address, or an address as in `me/addresses/`."""

    default_error_messages: ClassVar = {"invalid": "Give the id of an address, or an address; not {kind}."}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            return dict(AddressWrite().run_validation(data))
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid", kind=name_type(data))
        return IntegerField(min_value=1, max_value=2**63 - 1).run_validation(data)


class OrderLineWrite(StrictSerializer[OrderLine]):
    """A quantity of a variant, by SKU."""

    sku = CharField(max_length=100)
    quantity = WholeField(Whole(least=1, most=GREATEST_QUANTITY))

    def validate_sku(self, sku: str) -> str:
        return compose(sku)


class OrderWrite(StrictSerializer[Order]):
    """The lines of a new order. The server adds titles, prices and totals.

    `reference` is your own name for the order. The same body with the same reference is answered with the order that
    it placed before.
    """

    lines = OrderLineWrite(many=True, allow_empty=False, max_length=GREATEST_LINES)  # type: ignore[call-arg]  # the same
    shipping_address = OrderAddressField(required=False, allow_null=True)
    billing_address = OrderAddressField(required=False, allow_null=True)
    note = TextField(NOTE, required=False)
    reference = TextField(REFERENCE, required=False)

    def create(self, validated_data: dict[str, Any]) -> Order:
        details = dict(validated_data)
        return place_order(self.context["request"].user, details.pop("lines"), **details)


class OrderStep(StrictSerializer[Order]):
    """The order's next status: placed → paid → shipped → completed. Placed and paid orders may be canceled.

    The addresses and the note may be changed while the order is placed.
    """

    status = ChoiceField(Order.Status.choices)
    shipping_address = OrderAddressField(required=False, allow_null=True)
    billing_address = OrderAddressField(required=False, allow_null=True)
    note = TextField(NOTE, required=False)

    def update(self, instance: Order, validated_data: dict[str, Any]) -> Order:
        return change_order(instance, validated_data, self.context["request"].user)


class ShipmentWrite(StrictSerializer[Order]):
    """The pieces of a shipment; without `lines` all that are left."""

    lines = OrderLineWrite(many=True, required=False, allow_empty=False, max_length=GREATEST_LINES)  # type: ignore[call-arg]  # the same

    def update(self, instance: Order, validated_data: dict[str, Any]) -> Order:
        return ship_pieces(instance, validated_data.get("lines", ()))


class ReturnLineWrite(OrderLineWrite):
    """Pieces that came back, and why. The customer sees the reason."""

    reason = TextField(REASON, required=False)


class ReturnWrite(StrictSerializer[Order]):
    """The pieces of a return; without `lines` all that were shipped.

    `restock` puts them on hand again: at `location`, or where they were sent from.
    """

    lines = ReturnLineWrite(many=True, required=False, allow_empty=False, max_length=GREATEST_LINES)  # type: ignore[call-arg]  # the same
    restock = BooleanField(default=True)
    location = TextField(LOCATION, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "location" in attrs and not attrs["restock"]:
            raise ValidationError({"location": ["Leave it out, or restock: the pieces go nowhere."]}, "unexpected")
        return attrs

    def update(self, instance: Order, validated_data: dict[str, Any]) -> Order:
        where = validated_data.get("location")
        return take_back(instance, validated_data.get("lines", ()), validated_data["restock"], where)
