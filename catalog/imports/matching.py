"""A batch of drafts in, each beside the rows that it means out; six queries, whatever the size of the batch.

What can't be written beside those rows is refused here, before anything is: a SKU of somebody else's, a new product
without title or price, a stock below what is reserved.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from catalog.imports.drafts import ProductDraft, Refusal, VariantDraft
from catalog.models import Image, Product, ProductText, Stock, Variant
from catalog.querysets import is_among

# Where the stock of a file lies; a file names no places.
LOCATION = "main"


@dataclass(slots=True)
class Plan:
    """A draft and its product: the row in the database, or None for a new one."""

    draft: ProductDraft
    product: Product | None
    # In the order of the file, each beside its row, None for a new one.
    variants: list[tuple[VariantDraft, Variant | None]] = field(default_factory=list)


class KnownRows:
    """What the database has under the SKUs and handles of a batch; products are locked until the batch is in."""

    def __init__(self, drafts: Sequence[ProductDraft]) -> None:
        skus = {draft.sku for draft in drafts}
        slugs = {draft.slug for draft in drafts if draft.slug}
        # Locked, since what is compared here must still be so when it is written. In the order of the key,
        # so that two imports wait for each other instead of stopping each other.
        rows = Product.objects.filter(is_among("sku", skus) | is_among("slug", slugs)).order_by("pk")
        products = list(rows.select_for_update(no_key=True))
        self.by_sku = {product.sku: product for product in products}
        self.by_slug = {product.slug: product for product in products}
        self.load_parts([product.pk for product in products], drafts)

    def load_parts(self, ids: list[int], drafts: Sequence[ProductDraft]) -> None:
        skus = {variant.sku for draft in drafts for variant in draft.variants}
        variants = Variant.objects.filter(is_among("product_id", ids) | is_among("sku", skus))
        self.variants = {variant.sku: variant for variant in variants.order_by("position", "pk")}
        self.variants_of: dict[int, list[Variant]] = defaultdict(list)
        for variant in self.variants.values():
            self.variants_of[variant.product_id].append(variant)
        pieces = Stock.objects.filter(is_among("variant__product_id", ids), location=LOCATION)
        self.stock = {stock.variant_id: stock for stock in pieces}
        self.texts = {text.pk: text for text in ProductText.objects.filter(is_among("product_id", ids))}
        self.images_of: dict[int, list[Image]] = defaultdict(list)
        for image in Image.objects.filter(is_among("product_id", ids)).order_by("position", "pk"):
            self.images_of[image.product_id].append(image)


def match_drafts(drafts: Iterable[ProductDraft], known: KnownRows) -> tuple[list[Plan], list[list[Refusal]]]:
    """The plans of what can be written, and the reasons for each draft that can't."""
    plans, refused = [], []
    for draft in drafts:
        plan = match_draft(draft, known)
        if reasons := list_reasons(plan, known):
            refused.append(reasons)
        else:
            plans.append(plan)
    return plans, refused


def match_draft(draft: ProductDraft, known: KnownRows) -> Plan:
    product = known.by_slug.get(draft.slug) if draft.is_found_by_slug else known.by_sku.get(draft.sku)
    if product and not draft.has_variant_rows:
        draft = leave_out_derived(draft, product, known)
    plan = Plan(draft, product)
    named = {variant.sku for variant in draft.variants}
    plan.variants = [(variant, match_variant(variant, plan, known, named)) for variant in draft.variants]
    if not draft.has_variant_rows and product and not names_variant(draft):
        plan.variants = []
    return plan


def leave_out_derived(draft: ProductDraft, product: Product, known: KnownRows) -> ProductDraft:
    """A row without what says nothing new: our own exports give a product's picture, and its lowest price.

    Taken for its variant's own, that price would make a dearer one of several as cheap.
    """
    variants, images = draft.variants, draft.images
    if [image.url for image in images] == [product.image_url]:
        images = ()
    if len(known.variants_of[product.pk]) > 1:
        variants = tuple(leave_out_price(variant, product) for variant in variants)
    return replace(draft, variants=variants, images=images)


def leave_out_price(variant: VariantDraft, product: Product) -> VariantDraft:
    is_derived = variant.fields.get("price") == product.price
    fields = {name: value for name, value in variant.fields.items() if not (is_derived and name == "price")}
    return replace(variant, fields=fields)


def match_variant(draft: VariantDraft, plan: Plan, known: KnownRows, named: set[str]) -> Variant | None:
    """By SKU; without one in the file, by the options, or as the only variant that there is."""
    if found := known.variants.get(draft.sku):
        return found
    others = known.variants_of[plan.product.pk] if plan.product else []
    if draft.has_made_sku:
        # Not one that another row names by its SKU: no row is written twice.
        free = (other for other in others if other.sku not in named)
        return next((other for other in free if other.options == draft.fields.get("options")), None)
    return others[0] if len(others) == 1 and not plan.draft.has_variant_rows else None


def names_variant(draft: ProductDraft) -> bool:
    """Whether the row of an existing product says anything about its variant."""
    return any(variant.fields or variant.stock is not None for variant in draft.variants)


def list_reasons(plan: Plan, known: KnownRows) -> list[Refusal]:
    """Why the draft can't be written; empty where it can."""
    draft = plan.draft
    reasons = [(draft.line, reason) for reason in (*find_missing(plan), *find_taken(plan, known))]
    for variant, row in plan.variants:
        reasons += [(variant.line, reason) for reason in find_variant_faults(variant, row, plan, known)]
    return [Refusal(line, draft.key, reason) for line, reason in reasons]


def find_missing(plan: Plan) -> Iterable[str]:
    if not plan.product and "title" not in plan.draft.fields:
        yield f"title: is missing, and there is no product '{plan.draft.key}' yet; a new product needs a title"


def find_taken(plan: Plan, known: KnownRows) -> Iterable[str]:
    draft = plan.draft
    if draft.is_found_by_slug:
        if not plan.product and (other := known.by_sku.get(draft.sku)):
            yield f"Handle: is new, but the product '{other.slug}' has the SKU '{draft.sku}'; give it that Handle"
    elif draft.slug and (other := known.by_slug.get(draft.slug)) and other is not plan.product:
        yield f"slug: '{draft.slug}' belongs to the product with the SKU '{other.sku}'; give this one another"


def find_variant_faults(draft: VariantDraft, row: Variant | None, plan: Plan, known: KnownRows) -> Iterable[str]:
    if row is None:
        yield from find_new_variant_faults(draft, plan, known)
    elif plan.product is None or row.product_id != plan.product.pk:
        yield f"variant SKU: '{draft.sku}' is a variant of another product; give this one another SKU"
    elif draft.stock is not None and (stock := known.stock.get(row.pk)) and stock.reserved > draft.stock:
        yield f"stock: {draft.stock} is below the {stock.reserved} reserved pieces; give that many or more"


def find_new_variant_faults(draft: VariantDraft, plan: Plan, known: KnownRows) -> Iterable[str]:
    if plan.product and not plan.draft.has_variant_rows and (others := known.variants_of[plan.product.pk]):
        skus = ", ".join(variant.sku for variant in others[:3])
        yield f"sku: the product '{draft.sku}' has variants of its own ({skus}, …); list them in a column variants"
    elif "price" not in draft.fields:
        yield f"price: is missing, and there is no variant '{draft.sku}' yet; a new one needs a price"
