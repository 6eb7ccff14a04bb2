"""The OpenAPI description of facets: their two parameters, and the member of an answer."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from catalog.facets.asked import FACET_SIZE, FIXED, GREATEST_FACET_SIZE, MOST_FACETS

type Schema = dict[str, Any]

COUNT: Schema = {
    "count": {
        "type": "integer",
        "minimum": 0,
        "description": "The products that a list with this value would have; `approx`: from 1,000 on within 5 %.",
    },
    "count_relation": {"$ref": "#/components/schemas/CountRelation"},
}
TEXT: Schema = {"type": "string"}
AMOUNT: Schema = {"type": "string", "pattern": r"^[0-9]{1,10}\.[0-9]{2}$"}
MORE: Schema = {"type": "integer", "minimum": 0, "description": "How many values are left out."}


def describe_object(**properties: Any) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}


VALUES = describe_object(values={"type": "array", "items": describe_object(value=TEXT, label=TEXT, **COUNT)}, more=MORE)
END: Schema = AMOUNT | {"type": ["string", "null"]}
RANGE: Schema = describe_object(**{"from": AMOUNT, "to": AMOUNT, **COUNT})
PRICES = describe_object(min=END, max=END, ranges={"type": "array", "items": RANGE}, more=MORE)
FACETS: Schema = {
    "type": "object",
    "properties": {"price": PRICES},
    "additionalProperties": VALUES,
    "description": "For each facet its values, the most frequent first, each facet counted without its own filter.",
}

NAMES = ", ".join(f"`{name}`" for name in FIXED)
FACET_PARAMETERS = [
    OpenApiParameter(
        "facets",
        {"type": "array", "items": TEXT, "maxItems": MOST_FACETS},
        style="form",
        explode=False,
        description=f"The facets to count: {NAMES}, and `attr.NAME` of declared attributes.",
    ),
    OpenApiParameter(
        "facet_size",
        {"type": "integer", "minimum": 1, "maximum": GREATEST_FACET_SIZE, "default": FACET_SIZE},
        description="The most values of a facet. A value that is chosen is always among them.",
    ),
]
