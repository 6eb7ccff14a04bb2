"""Drafts in, the stored rows that they name out: at most nine queries, whatever the number of drafts.

The products are locked in the order of their keys. So two writers of one product take turns, and don't mix their lists.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db.models import Model

from catalog.models import Brand, Category, Image, Product, ProductText, Stock, Variant
from catalog.writes.among import is_among
from catalog.writes.declared import read_types
from catalog.writes.drafts import ProductDraft, VariantDraft
from catalog.writes.plans import Manner
from catalog.writes.taxonomy import Taxonomy
from catalog.writes.texts import index_composed, list_forms

type Found = Sequence[tuple[ProductDraft, Product]]


class KnownRows:
    """Stored rows by every key that a draft may use. Texts, variants and images are read only if a draft has some."""

    def __init__(self, drafts: Sequence[ProductDraft], manner: Manner) -> None:
        self.load_products(drafts)
        named = () if manner.makes_taxonomy else drafts
        self.taxonomy = Taxonomy(find_ids(Brand, "brand", named), find_ids(Category, "category", named))
        found = [(draft, product) for draft in drafts if (product := self.find_product(draft))]
        self.load_variants(drafts, list_keys(found, list_variants))
        rows = ProductText.objects.filter(is_among("product_id", list_keys(found, lambda draft: draft.text)))
        self.texts = {text.pk: text for text in rows}
        self.load_images(list_keys(found, lambda draft: draft.images is not None))
        names = {name for draft in drafts for name in draft.named_attributes}
        self.types = read_types(names) if names else {}

    def load_products(self, drafts: Sequence[ProductDraft]) -> None:
        self.load_owners({draft.key for draft in drafts if draft.is_found_by_variant})
        ids = {draft.id for draft in drafts if draft.id is not None} | set(self.owners.values())
        skus = {sku for draft in drafts if (sku := draft.sku or draft.owner_sku)}
        slugs = {draft.slug for draft in drafts if draft.slug}
        named = is_among("pk", ids) | is_among("sku", list_forms(skus)) | is_among("slug", slugs)
        products = list(Product.objects.filter(named).order_by("pk").select_for_update(no_key=True))
        self.by_id = {product.pk: product for product in products}
        self.by_sku = index_composed(products, lambda product: product.sku)
        self.by_slug = {product.slug: product for product in products}

    def load_owners(self, skus: set[str]) -> None:
        """The products' ids by the SKUs of their variants."""
        self.owners: dict[str, int] = {}
        if skus:
            rows = Variant.objects.filter(is_among("sku", list_forms(skus))).values_list("sku", "product_id")
            found = index_composed(rows, lambda row: row[0])
            self.owners = {sku: key for sku, (_, key) in found.items()}

    def find_product(self, draft: ProductDraft) -> Product | None:
        if draft.id is not None:
            return self.by_id.get(draft.id)
        if draft.is_found_by_variant:
            return self.by_id.get(self.owners.get(draft.key, 0)) or self.by_sku.get(draft.owner_sku)
        return self.by_slug.get(draft.slug) if draft.is_found_by_slug else self.by_sku.get(draft.sku or "")

    def load_variants(self, drafts: Sequence[ProductDraft], products: list[int]) -> None:
        named = [(draft, variant) for draft in drafts for variant in list_variants(draft)]
        # The only variant of a new product has the product's SKU.
        skus = {sku for draft, variant in named if (sku := variant.sku or draft.sku)}
        found = Variant.objects.filter(is_among("product_id", products) | is_among("sku", list_forms(skus)))
        rows = list(found.order_by("position", "pk"))
        self.variants = index_composed(rows, lambda row: row.sku)
        self.variants_of: dict[int, list[Variant]] = defaultdict(list)
        for row in rows:
            self.variants_of[row.product_id].append(row)
        locations = {location for _, variant in named for location in variant.pieces}
        counted = [row.pk for row in rows] if locations else []
        pieces = Stock.objects.filter(is_among("variant_id", counted), location__in=locations)
        self.stock = {(stock.variant_id, stock.location): stock for stock in pieces}

    def load_images(self, products: list[int]) -> None:
        self.images_of: dict[int, list[Image]] = defaultdict(list)
        for row in Image.objects.filter(is_among("product_id", products)).order_by("position", "pk"):
            self.images_of[row.product_id].append(row)


def list_variants(draft: ProductDraft) -> Sequence[VariantDraft]:
    """The draft's variants: its list, or its only variant."""
    return draft.variants or ((draft.only,) if draft.only else ())


def list_keys(found: Found, names: Callable[[ProductDraft], Any]) -> list[int]:
    return [product.pk for draft, product in found if names(draft)]


def find_ids(model: type[Model], name: str, drafts: Iterable[ProductDraft]) -> dict[Any, int]:
    """The ids of the rows that the drafts name, by slug."""
    slugs = {slug for draft in drafts if (slug := draft.links.get(name)) is not None}
    return dict(model._default_manager.filter(is_among("slug", slugs)).values_list("slug", "pk"))
