"""Stored rows that today's rules would refuse, each as a sentence and a remedy. They stay as they are."""

from collections.abc import Iterator

from catalog.models import Product
from config.api.writes.currencies import CURRENCIES

NAMED_PRODUCTS = 5


def find_odd_currencies() -> Iterator[tuple[str, str]]:
    rows = Product.objects.exclude(currency__in=CURRENCIES).order_by("pk").values_list("sku", "currency")
    if found := list(rows[:NAMED_PRODUCTS]):
        named = ", ".join(f"{currency} in {sku}" for sku, currency in found)
        yield f"Some products have a currency that ISO 4217 doesn't: {named}.", "Give them a currency that exists."
