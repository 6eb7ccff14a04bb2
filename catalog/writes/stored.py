"""Finds stored rows that today's rules would refuse. It yields a sentence and a remedy for each; no row is changed."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice

from django.db.models import Count, Exists, OuterRef

from catalog.models import Location, Product, Stock, Variant
from catalog.title_keys import find_wrong_keys
from catalog.writes.values import SKU, BadValue
from config.api.writes.currencies import CURRENCIES

NAMED_PRODUCTS = 5


def find_undeclared() -> Iterator[tuple[str, str]]:
    """Finds stock at places that are no locations, as SQL can write it. Nothing is sold from there."""
    declared = Location.objects.order_by().values("code")
    rows = Stock.objects.exclude(location__in=declared).order_by("location").values_list("location", flat=True)
    if found := list(rows.distinct()[:NAMED_PRODUCTS]):
        detail = f"Some stock is at locations that nobody has declared: {', '.join(found)}. Nothing is sold from there."
        yield detail, "Declare them by POST locations/, or move the stock."


def find_without_variants() -> Iterator[tuple[str, str]]:
    """Finds products that nobody can order: an undo or SQL may have deleted their last variant."""
    rows = Product.objects.filter(~Exists(Variant.objects.filter(product=OuterRef("pk")))).order_by("pk")
    if found := list(rows.values_list("sku", flat=True)[: NAMED_PRODUCTS + 1]):
        detail = f"Some products have no variant, so they have no price: {name_first(found)}."
        yield detail, "Add one to each, or archive them."


def find_repeated_barcodes() -> Iterator[tuple[str, str]]:
    """Finds barcodes of several variants: a scanner can't tell them apart."""
    coded = Variant.objects.filter(barcode__gt="").order_by("barcode").values_list("barcode", flat=True)
    if found := list(coded.alias(number=Count("pk")).filter(number__gt=1)[: NAMED_PRODUCTS + 1]):
        remedy = "Correct them where that is wrong: the admin's list of variants has a filter, barcode."
        yield f"Some barcodes belong to several variants: {name_first(found)}.", remedy


def name_first(found: Sequence[str]) -> str:
    """The first ones by name. The caller reads one more than these."""
    return ", ".join(found[:NAMED_PRODUCTS]) + (" and others" if len(found) > NAMED_PRODUCTS else "")


def find_odd_skus() -> Iterator[tuple[str, str]]:
    """Finds SKUs in decomposed form, or with unseen characters. Another SKU may look the same."""
    # The database first finds the SKUs with characters other than ASCII. Most catalogues have none.
    plain = {"sku__regex": r"^[ -~]*$"}
    skus = chain.from_iterable(
        model._default_manager.exclude(**plain).order_by("sku").values_list("sku", flat=True).iterator()
        for model in (Product, Variant)
    )
    if found := list(islice(dict.fromkeys(filter(is_odd, skus)), NAMED_PRODUCTS)):
        yield (
            f"Some SKUs are decomposed, or have characters that can't be seen: {', '.join(map(ascii, found))}.",
            "Write them again, by the id of their product or variant.",
        )


def is_odd(sku: str) -> bool:
    try:
        return SKU.read(sku) != sku
    except BadValue:
        return True


def find_wrong_title_keys() -> Iterator[tuple[str, str]]:
    if found := find_wrong_keys(Product.objects.all(), NAMED_PRODUCTS):
        yield (
            f"Some products were written without triggers, so lists by title misplace them: {', '.join(found)}.",
            "UPDATE catalog_product SET title_key = '' WHERE …; a trigger writes the right value.",
        )


def find_odd_currencies() -> Iterator[tuple[str, str]]:
    rows = Product.objects.exclude(currency__in=CURRENCIES).order_by("pk").values_list("sku", "currency")
    if found := list(rows[:NAMED_PRODUCTS]):
        named = ", ".join(f"{currency} in {sku}" for sku, currency in found)
        yield f"Some products have a currency that isn't in ISO 4217: {named}.", "Give them a currency of ISO 4217."
