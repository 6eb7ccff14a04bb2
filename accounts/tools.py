"""A tool for agents that buy: placing an order."""

from accounts.orders import GREATEST_QUANTITY
from config.api.tools.registry import Arguments, Ask, Call, Json, Tool

MOST_LINES = 50


def place_order(ask: Ask, given: Arguments) -> Json:
    body = {name: value for name, value in given.items() if name != "order_key"}
    return ask(Call("orders/", method="POST", body=body, idempotency_key=given["order_key"]))


LINE = {
    "type": "object",
    "properties": {
        "sku": {"type": "string", "minLength": 1, "maxLength": 100, "description": "A variant's SKU."},
        "quantity": {"type": "integer", "minimum": 1, "maximum": GREATEST_QUANTITY},
    },
    "required": ["sku", "quantity"],
    "additionalProperties": False,
}

# As accounts.serializers.AddressWrite takes it, which says what is wrong with a value.
ADDRESS = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("name", "line1", "line2", "city", "postcode")},
        "country": {"type": "string", "pattern": "^[A-Z]{2}$", "description": "A code such as GB."},
    },
    "required": ["name", "line1", "city", "country"],
    "additionalProperties": False,
}

TOOLS = (
    Tool(
        name="place_order",
        title="Place an order",
        description=(
            "Order variants for the signed-in customer, at today's prices. It reserves stock and can't be taken back "
            "by a tool, so show the lines and the total to the customer and wait for their consent. Returns the order "
            "with its number and total. An error says which line fails and why; nothing is ordered then."
        ),
        properties={
            "lines": {
                "type": "array", "items": LINE, "minItems": 1, "maxItems": MOST_LINES,
                "description": "Each SKU once. Take SKUs from get_product, and what is free from check_stock.",
            },
            "shipping_address": {**ADDRESS, "description": "Where it goes to. Ask the customer, never make one up."},
            "billing_address": {**ADDRESS, "description": "Whose the invoice is, if it differs."},
            "note": {"type": "string", "maxLength": 1000, "description": "What the customer wants the shop to know."},
            "order_key": {
                "type": "string", "pattern": "^[A-Za-z0-9._:-]{8,100}$",
                "description": "A new text of your own for each order. Repeat it if you repeat the call after a "
                "failure: then the order is placed once.",
            },
        },
        required=("lines", "order_key"),
        run=place_order,
        is_write=True,
    ),
)  # fmt: skip
