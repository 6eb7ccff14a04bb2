"""A batch of drafts in, rows in the database out, and an Outcome that counts them.

Only rows that differ are written: a second import of the same file moves no version. Every step is a few statements
whatever the size of the batch; triggers derive price, in_stock, image_url and the search document.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DataError, IntegrityError, transaction

from catalog.batches import Batch
from catalog.imports.drafts import ImageDraft, ProductDraft, Refusal, VariantDraft
from catalog.imports.matching import LOCATION, KnownRows, Plan, match_drafts
from catalog.imports.report import Outcome
from catalog.imports.staging import make_batch
from catalog.imports.taxonomy import Taxonomy, resolve_taxonomy
from catalog.models import Image, Product, ProductText, Stock, Variant
from catalog.slugs import Newcomer, choose_slugs
from config.api.authorship import sign_writes

PRODUCT_COLUMNS = ("slug", "title", "brand", "category", "status", "compare_at_price", "rating", "attributes")
TEXT_COLUMNS = ("description", "seo_title", "seo_description")
VARIANT_COLUMNS = ("barcode", "options", "price", "weight", "position")


def import_batch(drafts: Sequence[ProductDraft]) -> Outcome:
    """Write the batch; a row that the database itself refuses is found by halving, and the others are written."""
    try:
        with sign_writes(keep_before=False), transaction.atomic():
            return write_batch(drafts)
    except (IntegrityError, DataError) as error:
        # Rules are checked before; what is left is another writer at the same moment, and then the second
        # attempt reads what that one wrote.
        if len(drafts) > 1:
            outcome = import_batch(drafts[: len(drafts) // 2])
            outcome.add(import_batch(drafts[len(drafts) // 2 :]))
            return outcome
        return refuse_draft(drafts[0], error)


def refuse_draft(draft: ProductDraft, error: Exception) -> Outcome:
    reason = f"the database refused the row ({str(error).splitlines()[0]}); import it again"
    return Outcome(refused=1, errors=[Refusal(draft.line, draft.key, reason)])


def write_batch(drafts: Sequence[ProductDraft]) -> Outcome:
    known = KnownRows(drafts)
    plans, refused = match_drafts(drafts, known)
    outcome = Outcome(refused=len(refused), errors=[reason for reasons in refused for reason in reasons])
    if plans:
        BatchWriter(plans, known, outcome).write()
    return outcome


@dataclass(slots=True)
class VariantPut:
    """A variant as it will be; `number` is that of its product among the plans."""

    number: int
    draft: VariantDraft
    variant: Variant
    is_new: bool
    is_changed: bool


class BatchWriter:
    """Compares the plans of one batch with the known rows and writes what differs, parents first."""

    def __init__(self, plans: list[Plan], known: KnownRows, outcome: Outcome) -> None:
        self.plans = plans
        self.known = known
        self.outcome = outcome
        # Positions in `plans` of products of which anything changed.
        self.changed: set[int] = set()
        self.products: list[Product] = []

    def write(self) -> None:
        taxonomy = self.write_taxonomy()
        self.write_products(taxonomy)
        self.write_texts()
        self.write_variants()
        self.write_images()
        for number, plan in enumerate(self.plans):
            self.outcome.products.count(is_new=plan.product is None, is_changed=number in self.changed)

    def write_taxonomy(self) -> Taxonomy:
        links = [plan.draft.links for plan in self.plans]
        names = [link["brand"] for link in links if link.get("brand")]
        taxonomy = resolve_taxonomy(names, [link["category"] for link in links if link.get("category")])
        self.outcome.brands_created = taxonomy.brands_created
        self.outcome.categories_created = taxonomy.categories_created
        return taxonomy

    def write_products(self, taxonomy: Taxonomy) -> None:
        drafts = [plan.draft for plan in self.plans if plan.product is None]
        slugs = choose_slugs([Newcomer(draft.sku, draft.fields["title"], draft.slug) for draft in drafts])
        writes = make_batch(Product, PRODUCT_COLUMNS)
        for number, plan in enumerate(self.plans):
            product = plan.product or writes.start_row(**start_product(plan.draft, slugs[plan.draft.sku]))
            self.products.append(product)
            fields = list_fields(plan.draft, product, taxonomy)
            if writes.put(product, fields, is_new=plan.product is None):
                self.changed.add(number)
        writes.save()

    def write_texts(self) -> None:
        writes = make_batch(ProductText, TEXT_COLUMNS)
        for number, (plan, product) in enumerate(zip(self.plans, self.products, strict=True)):
            text = self.known.texts.get(product.pk)
            if writes.put(text or writes.start_row(product_id=product.pk), plan.draft.text, is_new=text is None):
                self.changed.add(number)
        writes.save()

    def write_variants(self) -> None:
        writes = make_batch(Variant, VARIANT_COLUMNS)
        puts = [
            self.put_variant(writes, number, draft, row)
            for number, plan in enumerate(self.plans)
            for draft, row in plan.variants
        ]
        writes.save()
        # By now the new ones have keys, to which their stock points.
        pieces = make_batch(Stock, ("on_hand",))
        for put in puts:
            put.is_changed |= self.put_stock(pieces, put)
            self.outcome.variants.count(is_new=put.is_new, is_changed=put.is_changed)
            self.changed |= {put.number} if put.is_changed else set()
        pieces.save()

    def put_variant(self, writes: Batch, number: int, draft: VariantDraft, row: Variant | None) -> VariantPut:
        variant = row or writes.start_row(product_id=self.products[number].pk, sku=draft.sku)
        is_changed = writes.put(variant, draft.fields, is_new=row is None)
        return VariantPut(number, draft, variant, row is None, is_changed)

    def put_stock(self, pieces: Batch, put: VariantPut) -> bool:
        """A new variant has a row of stock, too, 0 where the file says nothing."""
        stock = None if put.is_new else self.known.stock.get(put.variant.pk)
        if stock is None and not put.is_new and put.draft.stock is None:
            return False
        fields = {} if put.draft.stock is None else {"on_hand": put.draft.stock}
        row = stock or pieces.start_row(variant_id=put.variant.pk, location=LOCATION)
        return pieces.put(row, fields, is_new=stock is None)

    def write_images(self) -> None:
        writes = make_batch(Image, ("alt", "position"))
        for number, (plan, product) in enumerate(zip(self.plans, self.products, strict=True)):
            if plan.draft.images:
                rows = self.known.images_of[product.pk] if plan.product else []
                if self.put_images(writes, plan.draft.images, rows, product):
                    self.changed.add(number)
        writes.save()

    def put_images(self, writes: Batch, drafts: Iterable[ImageDraft], rows: list[Image], product: Product) -> bool:
        by_url = {row.url: row for row in rows}
        is_changed = move_behind(writes, drafts, rows)
        for draft in drafts:
            is_new = draft.url not in by_url
            row = by_url.get(draft.url) or writes.start_row(product_id=product.pk, url=draft.url)
            fields = {"position": draft.position} | ({} if draft.alt is None else {"alt": draft.alt})
            is_put = writes.put(row, fields, is_new=is_new)
            self.outcome.images.count(is_new=is_new, is_changed=is_put)
            is_changed |= is_put
        return is_changed


def list_fields(draft: ProductDraft, product: Product, taxonomy: Taxonomy) -> dict[str, Any]:
    """The columns of the product that the file names, brand and category by id, attributes merged."""
    fields = dict(draft.fields)
    if "brand" in draft.links:
        fields["brand_id"] = taxonomy.brands.get(draft.links["brand"])
    if "category" in draft.links:
        fields["category_id"] = taxonomy.categories.get(draft.links["category"])
    if draft.attributes:
        merged = product.attributes | draft.attributes
        fields["attributes"] = {name: value for name, value in merged.items() if value is not None}
    return fields


def start_product(draft: ProductDraft, slug: str) -> dict[str, Any]:
    """A new product that already has what the triggers would derive: three updates of a wide-indexed row less."""
    images = sorted(draft.images, key=lambda image: image.position)
    return {
        "sku": draft.sku,
        "slug": slug,
        "price": min(variant.fields["price"] for variant in draft.variants),
        "in_stock": any(variant.stock for variant in draft.variants),
        "image_url": images[0].url if images else "",
    }


def move_behind(writes: Batch, drafts: Iterable[ImageDraft], rows: list[Image]) -> bool:
    """Images that the file doesn't name stay, behind those that it names: the first of the file is to be shown."""
    named = {draft.url for draft in drafts}
    last = max(draft.position for draft in drafts)
    others = [row for row in rows if row.url not in named]
    step = last + 1 - min((row.position for row in others), default=last + 1)
    if step > 0:
        for row in others:
            writes.put(row, {"position": row.position + step}, is_new=False)
    return step > 0
