"""The rows of a small shop as values, without what triggers write, to compare before and after an undo."""

from typing import Any

from rest_framework.test import APIClient

from catalog.changes.log import number_all
from catalog.models import Attribute, Brand, Category, Image, Product, ProductText, Stock, Variant

URL = "/api/v1/changes/undo/"
MODELS = (Brand, Category, Attribute, Product, ProductText, Variant, Stock, Image)
# Versions and times move on; the others follow from variants, stock and images.
COMPUTED = {"version", "created_at", "updated_at", "price", "in_stock", "image_url", "title_key"}
COMPUTED_OF_VARIANTS = {"version", "created_at", "updated_at"}

type Rows = dict[tuple[str, int], dict[str, Any]]


def read_shop() -> Rows:
    """Every row by its table and key."""
    number_all()
    return {
        (model.__name__, row.pk): {
            field.attname: getattr(row, field.attname)
            for field in row._meta.concrete_fields
            if field.name not in (COMPUTED_OF_VARIANTS if model is Variant else COMPUTED)
        }
        for model in MODELS
        for row in model._default_manager.all()
    }


def undo(caller: APIClient, **body: Any) -> dict[str, Any]:
    answer = caller.post(URL, body, format="json")
    assert answer.status_code == 201, answer.json()
    job: dict[str, Any] = answer.json()
    return job
