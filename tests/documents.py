"""The OpenAPI document, of whose operations several files make their tests."""

from functools import cache
from typing import Any

from config.api.schema.documents import build_document


@cache
def read_document() -> dict[str, Any]:
    """As Python values, not to be changed. Every worker needs it to collect, so it's built once in each: 0.4 s."""
    return build_document()
