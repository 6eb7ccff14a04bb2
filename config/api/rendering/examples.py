"""Real requests with their answers, of the demo catalogue: for the API's document and for the forms in a browser.

A test compares them with live answers, and writes them.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from django.urls import resolve

EXAMPLES = Path(__file__).with_name("examples.json")


@cache
def read_examples() -> dict[str, list[dict[str, Any]]]:
    """Examples by operation and status: `{"list_products_200": [{"name", "request", "body", "answer"}, …], …}`."""
    examples: dict[str, list[dict[str, Any]]] = orjson.loads(EXAMPLES.read_bytes())
    return examples


@cache
def list_bodies() -> Mapping[tuple[str, str], Any]:
    """The body of the first example that isn't an error, by the method and the name of its route."""
    bodies: dict[tuple[str, str], Any] = {}
    for key, examples in read_examples().items():
        for example in examples:
            method, _, address = example["request"].partition(" ")
            if example["body"] is not None and not key.startswith("problem_"):
                bodies.setdefault((method, resolve(address.partition("?")[0]).view_name), example["body"])
    return bodies
