"""Stored rows that today's rules would refuse, each as a sentence and a remedy. They stay as they are."""

from collections.abc import Iterator

from django.db.models.functions import Lower

from catalog.models import Product, Stock
from config.api.writes.currencies import CURRENCIES

NAMED_PRODUCTS = 5


def find_capital_locations() -> Iterator[tuple[str, str]]:
    """Orders and writes know a location in lower case; a stored one keeps its capitals."""
    rows = Stock.objects.exclude(location=Lower("location")).order_by("location").values_list("location", flat=True)
    if found := list(rows.distinct()[:NAMED_PRODUCTS]):
        detail = (
            f"Some stock lies at locations with capitals: {', '.join(found)}. No order takes from Main, only from main."
        )
        yield detail, "Give them names in lower case, or move their pieces to main."


def find_odd_currencies() -> Iterator[tuple[str, str]]:
    rows = Product.objects.exclude(currency__in=CURRENCIES).order_by("pk").values_list("sku", "currency")
    if found := list(rows[:NAMED_PRODUCTS]):
        named = ", ".join(f"{currency} in {sku}" for sku, currency in found)
        yield f"Some products have a currency that ISO 4217 doesn't: {named}.", "Give them a currency that exists."
