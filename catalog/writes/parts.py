"""Checked values in, one variant or image of a product written out, by the pipeline that writes whole products.

Like each write of a part, it raises the product's version. The product is locked first, as by all writers of parts.
"""

from typing import Any

from django.db import transaction
from django.http import Http404

from catalog.models import Image, Product, Variant
from catalog.writes.bodies import Pointer, draft_image, draft_variant
from catalog.writes.drafts import ImageDraft, ProductDraft, VariantDraft
from catalog.writes.plans import Manner, Mode
from catalog.writes.saving import move_versions
from catalog.writes.sentences import NOUNS, say_taken
from catalog.writes.upserts import Upsert
from config.api.problems.errors import Conflict
from config.api.writes.bodies import Row, Values, refuse_rows

BODY = Pointer("")


def write_variant(product: int, values: Values, key: int | None = None) -> Variant:
    """Create a variant of the product with this id, or change the one with the id `key`."""
    draft = draft_variant(BODY, values | {"id": key})
    variant: Variant = write_part(ProductDraft(BODY, id=product, variants=(draft,)), draft, "sku")
    return variant


def write_image(product: int, values: Values, key: int | None = None) -> Image:
    """Create an image of the product with this id, or change the one with the id `key`."""
    draft = draft_image(BODY, values | {"id": key})
    image: Image = write_part(ProductDraft(BODY, id=product, images=(draft,)), draft, "url")
    return image


def write_part(whole: ProductDraft, draft: VariantDraft | ImageDraft, name: str) -> Any:
    """Write the draft of a product that has only this part. `name` is the member by which a stored part is found."""
    # The caller already has a transaction.
    with transaction.atomic(savepoint=False):
        upsert = Upsert([whole], Manner(Mode.UPDATE))
        [plan] = upsert.plans
        if plan.is_new or is_gone(draft, plan.faults):
            raise Http404  # deleted since the view read it
        part: Any = next(iter((*plan.variants, *plan.images)), None)
        body = Row("", {})
        for fault in plan.faults:
            body.refuse(f"{fault.place}/{fault.member}", fault.code, fault.detail)
        if part and part.row and draft.id is None:
            # The pipeline would change the stored one, but a POST never does.
            body.refuse(f"/{name}", "taken", say_taken(getattr(draft, name), "row of this product", NOUNS[name]))
        refuse_rows([body])
        upsert.save()
        return part and type(part.row)._default_manager.get(product=whole.id, **{name: getattr(part.row, name)})


def is_gone(draft: VariantDraft | ImageDraft, faults: Any) -> bool:
    return draft.id is not None and any((fault.member, fault.code) == ("id", "not_found") for fault in faults)


def lock_product(key: int) -> dict[int, int]:
    """Lock a product. Returns its version by its key; empty if it is gone."""
    return dict(Product.objects.filter(pk=key).select_for_update(no_key=True).values_list("pk", "version"))


def delete_part(row: Variant | Image) -> None:
    """Delete a variant with its stock, or an image. Raises Conflict for the only variant of a product."""
    with transaction.atomic(savepoint=False):
        before = lock_product(row.product_id)
        others = Variant.objects.filter(product=row.product_id).exclude(pk=row.pk)
        if isinstance(row, Variant) and not others.exists():
            raise Conflict("A product has at least one variant, and this is the last.", "Delete the product itself.")
        row.delete()
        move_versions(before)
