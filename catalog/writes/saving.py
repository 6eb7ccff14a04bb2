"""Plans without faults in, rows out: a few statements for each table, whatever the number of plans.

Only changed rows are written, so saving the same draft again raises no version. Triggers compute price, in_stock,
image_url and the search document.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Model

from catalog.models import Image, Product, ProductText, Stock, Variant
from catalog.title_keys import make_title_key
from catalog.writes.among import is_among
from catalog.writes.arrays import ArrayBatch
from catalog.writes.batches import Batch
from catalog.writes.drafts import Values
from catalog.writes.known import KnownRows
from catalog.writes.plans import Manner, Plan
from catalog.writes.slugs import Newcomer, choose_slugs

# What an image has of the picture that it showed before.
UNKNOWN_PICTURE: Values = {"width": None, "height": None, "thumbnails": None}


def make_batch(model: type[Model], order: str) -> Batch:
    """The fastest kind of batch for this database."""
    return (ArrayBatch if connection.vendor == "postgresql" else Batch)(model, order)


def save_plans(plans: Sequence[Plan], known: KnownRows, manner: Manner) -> None:
    """Save the plans. Sets each plan's `product`, and `is_changed` of it and its parts.

    Images come before products: so the list of images that a new product has stored beside it (PostgreSQL) is written
    with it, and not by a second version of the row.
    """
    products = collect_products(plans, manner)
    if any(plan.is_new and plan.images for plan in plans):
        products.take_keys()
    drop_parts(plans)
    save_images(plans)
    products.save()
    save_texts(plans, known)
    save_variants(plans, known, manner)
    move_versions({plan.product.pk: plan.product.version for plan in plans if plan.product and plan.is_moved})


def move_versions(before: Mapping[int, int]) -> None:
    """Raise the versions of products whose variants or images have changed. `before` has the locked versions by key.

    So `If-Match` also notices changes of variants and images. If a trigger has already raised a version, because of the
    price or the image, it isn't raised again.
    """
    now = Product.objects.filter(is_among("pk", before)).values_list("pk", "version")
    still = [pk for pk, version in now if version == before[pk]]
    # Setting version 0 makes the trigger set the next version.
    Product.objects.filter(is_among("pk", still)).update(version=0)


def collect_products(plans: Sequence[Plan], manner: Manner) -> Batch:
    new = [plan.draft for plan in plans if plan.is_new]
    slugs = choose_slugs([Newcomer(draft.sku or "", draft.fields["title"], draft.slug) for draft in new])
    batch = make_batch(Product, "" if manner.keeps_order else "sku")
    for plan in plans:
        product = plan.product or batch.start_row(**start_product(plan, slugs[plan.draft.sku or ""]))
        columns = list_columns(plan, product)
        if plan.is_new and manner.new_status:
            columns["status"] = manner.new_status
        plan.is_changed |= batch.put(product, columns, is_new=plan.is_new)
        plan.product = product
    return batch


def start_product(plan: Plan, slug: str) -> Values:
    """Columns of a new product, with the values that triggers would compute: this saves three updates of the row."""
    images = sorted(plan.images, key=lambda image: image.fields["position"])
    return {
        "sku": plan.draft.sku,
        "slug": slug,
        "title_key": make_title_key(plan.draft.fields["title"]),
        "price": min(part.fields["price"] for part in plan.variants),
        "in_stock": any(any(part.draft.pieces.values()) for part in plan.variants),
        "image_url": images[0].draft.url if images else "",
    }


def list_columns(plan: Plan, product: Product) -> Values:
    """The draft's columns, with the ids of brand and category, and the merged attributes."""
    columns = {**plan.draft.fields, **plan.links}
    if plan.draft.id is None:
        columns.pop("sku", None)  # by which it was found, maybe in another form
    if plan.draft.attributes:
        merged = product.attributes | plan.draft.attributes
        columns["attributes"] = {name: value for name, value in merged.items() if value is not None}
    return columns


def save_texts(plans: Sequence[Plan], known: KnownRows) -> None:
    batch = make_batch(ProductText, "product_id")
    for plan in plans:
        if plan.is_new or plan.draft.text:
            key = plan.product.pk if plan.product else None
            text = None if plan.is_new else known.texts.get(key)
            row = text or batch.start_row(product_id=key)
            plan.is_changed |= batch.put(row, plan.draft.text, is_new=text is None)
    batch.save()


def drop_parts(plans: Sequence[Plan]) -> None:
    variants = [pk for plan in plans for pk in plan.dropped_variants]
    images = [pk for plan in plans for pk in plan.dropped_images]
    for model, keys in ((Variant, variants), (Image, images)):
        if keys:
            model.objects.filter(pk__in=keys).delete()
    for plan in plans:
        if plan.dropped_variants or plan.dropped_images:
            plan.is_changed = plan.is_moved = True


def save_variants(plans: Sequence[Plan], known: KnownRows, manner: Manner) -> None:
    batch = make_batch(Variant, "" if manner.keeps_order else "sku")
    pieces = make_batch(Stock, "variant_id")
    for plan, part in list_parts(plans, "variants"):
        sku = part.draft.sku or plan.draft.sku
        part.row = part.row or batch.start_row(product_id=plan.product.pk, sku=sku)
        put_part(batch, plan, part)
    batch.save()
    # After `save` new variants have keys, which their stock needs.
    for plan, part in list_parts(plans, "variants"):
        for location, on_hand in part.draft.pieces.items():
            if put_stock(pieces, part, location, on_hand, known):
                plan.is_changed = part.is_changed = True
    pieces.save()


def put_stock(pieces: Batch, part: Any, location: str, on_hand: int, known: KnownRows) -> bool:
    stock = known.stock.get((part.row.pk, location))
    row = stock or pieces.start_row(variant_id=part.row.pk, location=location)
    # A file may name a variant twice, with another location each time, and a batch may have both.
    known.stock[part.row.pk, location] = row
    # A reason that was given for an earlier change isn't this one's.
    forgotten = {} if row.on_hand == on_hand else {"reason": ""}
    return pieces.put(row, {"on_hand": on_hand} | forgotten, is_new=stock is None)


def save_images(plans: Sequence[Plan]) -> None:
    batch = make_batch(Image, "product_id")
    for plan, part in list_parts(plans, "images"):
        if part.row and part.fields.get("url", part.row.url) != part.row.url:
            part.fields |= UNKNOWN_PICTURE
        part.row = part.row or batch.start_row(product_id=plan.product.pk, url=part.draft.url)
        put_part(batch, plan, part)
    batch.save()


def list_parts(plans: Iterable[Plan], name: str) -> Iterator[tuple[Any, Any]]:
    return ((plan, part) for plan in plans for part in getattr(plan, name))


def put_part(batch: Batch, plan: Plan, part: Any) -> None:
    if batch.put(part.row, part.fields, is_new=part.is_new):
        part.is_changed = plan.is_changed = True
        plan.is_moved = not plan.is_new
