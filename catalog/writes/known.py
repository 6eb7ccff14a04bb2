"""What the database has under the keys that a body names; at most eight queries, whatever its length.

Products are locked, in the order of their keys, so that two writers of one product take turns and neither replaces
half of the other's lists.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Model, Q

from catalog.models import Brand, Category, Image, Product, ProductText, Stock, Variant
from catalog.writes.plans import Plan

# Where the `on_hand` of a product's body lies; stock/bulk/ names others.
LOCATION = "main"


class KnownRows:
    """Rows by every key that a body may name them by."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.load_products(plans)
        self.brands = find_ids(Brand, "brand", plans)
        self.categories = find_ids(Category, "category", plans)
        found = [(plan, product) for plan in plans if (product := self.find_product(plan))]
        self.load_variants(plans, [product.pk for plan, product in found if plan.names_variants])
        self.texts = ProductText.objects.in_bulk([product.pk for plan, product in found if plan.texts])
        self.load_images([product.pk for plan, product in found if "images" in plan.values])

    def load_products(self, plans: Sequence[Plan]) -> None:
        ids, skus, slugs = (collect(plans, name) for name in ("id", "sku", "slug"))
        rows = Product.objects.filter(Q(pk__in=ids) | Q(sku__in=skus) | Q(slug__in=slugs)).order_by("pk")
        products = list(rows.select_for_update(no_key=True))
        self.by_id = {product.pk: product for product in products}
        self.by_sku = {product.sku: product for product in products}
        self.by_slug = {product.slug: product for product in products}

    def find_product(self, plan: Plan) -> Product | None:
        """By id where the body has one, else by SKU."""
        if (key := plan.values.get("id")) is not None:
            return self.by_id.get(key)
        return self.by_sku.get(plan.values.get("sku", ""))

    def load_variants(self, plans: Sequence[Plan], products: Sequence[int]) -> None:
        bodies = [body for plan in plans for body in plan.values.get("variants", ())]
        # A product without variants gets one by its own SKU.
        skus = {body["sku"] for body in bodies if "sku" in body} | collect(plans, "sku")
        rows = Variant.objects.filter(Q(product_id__in=products) | Q(sku__in=skus)).order_by("position", "pk")
        self.variants_of: dict[int, list[Variant]] = defaultdict(list)
        self.variants_by_sku = {row.sku: row for row in rows}
        for row in self.variants_by_sku.values():
            self.variants_of[row.product_id].append(row)
        counted = [row.pk for row in rows] if any("on_hand" in body for body in bodies) else []
        pieces = Stock.objects.filter(variant_id__in=counted, location=LOCATION)
        self.stock = {stock.variant_id: stock for stock in pieces}

    def load_images(self, products: Sequence[int]) -> None:
        self.images_of: dict[int, list[Image]] = defaultdict(list)
        for row in Image.objects.filter(product_id__in=products).order_by("position", "pk"):
            self.images_of[row.product_id].append(row)


def collect(plans: Iterable[Plan], name: str) -> set[Any]:
    return {plan.values[name] for plan in plans if plan.values.get(name) is not None}


def find_ids(model: type[Model], name: str, plans: Iterable[Plan]) -> dict[str, int]:
    """The keys of the rows that the bodies name by slug."""
    return dict(model._default_manager.filter(slug__in=collect(plans, name)).values_list("slug", "pk"))
