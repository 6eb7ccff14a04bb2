"""Plans without faults in, rows out: a statement or two a table, whatever the number of plans.

Only rows that differ are written, so the same body a second time moves no version. Triggers derive price, in_stock,
image_url and the search document.
"""

from collections.abc import Mapping, Sequence

from catalog.batches import Batch
from catalog.models import Image, Product, ProductText, Stock, Variant
from catalog.slugs import Newcomer, choose_slugs
from catalog.writes.known import LOCATION, KnownRows
from catalog.writes.plans import TEXTS, Part, Plan

COLUMNS = (
    "sku",
    "slug",
    "title",
    "brand",
    "category",
    "status",
    "currency",
    "compare_at_price",
    "rating",
    "attributes",
)


def save_plans(plans: Sequence[Plan], known: KnownRows) -> None:
    """Parents first; each plan's `product` is there afterwards, and its row says what became of it."""
    save_products(plans)
    save_texts(plans, known)
    moved = [*drop_parts(plans), *save_variants(plans, known), *save_images(plans)]
    move_versions({plan.product.pk: plan.product.version for plan in moved if plan.product})


def move_versions(before: Mapping[int, int]) -> None:
    """What belongs to a product counts as its change; `before` are versions by key, read under the lock.

    Whoever has read it with its variants and writes upon that version must be refused. Triggers have moved some
    versions already, with price or picture.
    """
    now = Product.objects.filter(pk__in=before).values_list("pk", "version")
    still = [pk for pk, version in now if version == before[pk]]
    # Version 0 asks the trigger for the next one.
    Product.objects.filter(pk__in=still).update(version=0)


def save_products(plans: Sequence[Plan]) -> None:
    new = [plan for plan in plans if plan.is_new]
    slugs = choose_slugs(
        [Newcomer(plan.values["sku"], plan.values["title"], plan.values.get("slug", "")) for plan in new]
    )
    batch = Batch(Product, COLUMNS)
    for plan in plans:
        product = plan.product or start_product(plan, slugs[plan.values["sku"]])
        if batch.put(product, plan.columns | plan.links, is_new=plan.is_new):
            plan.mark_changed()
        plan.product = product
    batch.save()


def start_product(plan: Plan, slug: str) -> Product:
    """A new product that already has what the triggers would derive: three updates of a wide-indexed row less."""
    images = sorted(plan.images, key=lambda image: image.values["position"])
    return Product(
        slug=slug,
        price=min(part.values["price"] for part in plan.variants),
        in_stock=any(part.values.get("on_hand") for part in plan.variants),
        image_url=images[0].values["url"] if images else "",
    )


def save_texts(plans: Sequence[Plan], known: KnownRows) -> None:
    batch = Batch(ProductText, TEXTS)
    for plan in plans:
        if plan.is_new or plan.texts:
            text = None if plan.product is None else known.texts.get(plan.product.pk)
            if batch.put(text or ProductText(product=plan.product), plan.texts, is_new=text is None):
                plan.mark_changed()
    batch.save()


def drop_parts(plans: Sequence[Plan]) -> list[Plan]:
    """The plans whose product lost a variant or an image."""
    variants = [pk for plan in plans for pk in plan.dropped_variants]
    images = [pk for plan in plans for pk in plan.dropped_images]
    for model, keys in ((Variant, variants), (Image, images)):
        if keys:
            model.objects.filter(pk__in=keys).delete()
    poorer = [plan for plan in plans if plan.dropped_variants or plan.dropped_images]
    return mark_moved(poorer)


def save_variants(plans: Sequence[Plan], known: KnownRows) -> list[Plan]:
    batch, pieces = (
        Batch(Variant, ("sku", "barcode", "options", "price", "weight", "position")),
        Batch(Stock, ("on_hand",)),
    )
    moved = []
    for plan in plans:
        for part in plan.variants:
            fields = {name: value for name, value in part.values.items() if name != "on_hand"}
            variant = part.row or Variant(product=plan.product)
            if batch.put(variant, fields, is_new=part.row is None):
                moved.append(plan)
            if put_stock(pieces, variant, part, known):
                plan.mark_changed()
    batch.save()
    pieces.save()
    return mark_moved(moved)


def put_stock(pieces: Batch, variant: Variant, part: Part[Variant], known: KnownRows) -> bool:
    if "on_hand" not in part.values:
        return False
    stock = known.stock.get(variant.pk) if variant.pk else None
    fields = {"on_hand": part.values["on_hand"]}
    return pieces.put(stock or Stock(variant=variant, location=LOCATION), fields, is_new=stock is None)


def save_images(plans: Sequence[Plan]) -> list[Plan]:
    batch = Batch(Image, ("url", "alt", "position"))
    moved = [
        plan
        for plan in plans
        for part in plan.images
        if batch.put(part.row or Image(product=plan.product), part.values, is_new=part.row is None)
    ]
    batch.save()
    return mark_moved(moved)


def mark_moved(plans: Sequence[Plan]) -> list[Plan]:
    """Those of stored products, which count as updated."""
    for plan in plans:
        plan.mark_changed()
    return [plan for plan in plans if not plan.is_new]
