"""Checked values in, rows out: a product with its texts, variants and images, in one transaction.

PATCH matches nested rows by id, SKU or URL and deletes none that it doesn't name; PUT deletes the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.text import slugify

from catalog.models import Image, Product, ProductText, Stock, Variant
from config.api.caching import move_generations
from config.api.errors import Conflict, Fault, InvalidBody

type Values = dict[str, Any]

TEXTS = ("description", "seo_title", "seo_description")


@dataclass
class Parts:
    """A body taken apart: the columns of Product and of ProductText, and the nested lists where they're given."""

    columns: Values
    texts: Values
    variants: list[Values] | None
    images: list[Values] | None
    price: Any

    @classmethod
    def split(cls, body: Values) -> "Parts":
        columns = dict(body)
        texts = {name: columns.pop(name) for name in TEXTS if name in columns}
        variants, images, price = (columns.pop(name, None) for name in ("variants", "images", "price"))
        return cls(columns, texts, variants, images, price)


def create_product(body: Values) -> Product:
    """The new product; without variants it gets one with its own SKU and `price`."""
    parts = Parts.split(body)
    columns = parts.columns
    columns.setdefault("slug", make_slug(columns["title"], columns["sku"]))
    variants = parts.variants or [{"sku": columns["sku"], "price": _need_price(parts.price)}]
    with transaction.atomic(savepoint=False):
        product = Product.objects.create(**columns)
        ProductText.objects.create(product=product, **parts.texts)
        _save_variants(product, variants, replace=False)
        _save_images(product, parts.images or [], replace=False)
        move_generations("products")
    return product


def update_product(product: Product, body: Values, replace: bool) -> Product:
    """The product changed; with `replace` (PUT) the nested lists in the body are all that stays."""
    parts = Parts.split(body)
    with transaction.atomic(savepoint=False):
        # The lock makes two writers of one product take turns, so that neither replaces half of the other's list.
        Product.objects.select_for_update().get(pk=product.pk)
        if parts.columns:
            Product.objects.filter(pk=product.pk).update(**parts.columns)
        if parts.texts:
            ProductText.objects.update_or_create(product=product, defaults=parts.texts)
        if parts.price is not None:
            _set_only_price(product, parts)
        if parts.variants is not None:
            _save_variants(product, parts.variants, replace)
        if parts.images is not None:
            _save_images(product, parts.images, replace)
        move_generations("products")
    return product


def delete_product(product: Product) -> None:
    """Gone for good, with all that belongs to it; order lines are copies and stay."""
    with transaction.atomic(savepoint=False):
        product.delete()
        move_generations("products")


def make_slug(title: str, sku: str) -> str:
    """The title's slug, with the SKU behind it where another product has it."""
    slug = slugify(title, allow_unicode=True)[:200] or "product"
    if not Product.objects.filter(slug=slug).exists():
        return slug
    return f"{slug}-{slugify(sku, allow_unicode=True)}"[:255]


def _need_price(price: Any) -> Any:
    if price is None:
        raise InvalidBody([Fault("/price", "required", "A product without variants needs a price.")])
    return price


def _set_only_price(product: Product, parts: Parts) -> None:
    """`price` of a product is its single variant's; with several it follows from theirs."""
    if parts.variants is not None:
        return
    variants = list(Variant.objects.filter(product=product)[:2])
    if len(variants) > 1:
        detail = "This product has several variants and its price follows from theirs: send variants[].price."
        raise InvalidBody([Fault("/price", "derived", detail)])
    parts.variants = [{"sku": variants[0].sku, "price": parts.price}]


def _save_variants(product: Product, bodies: Sequence[Values], replace: bool) -> None:
    stored = list(Variant.objects.filter(product=product))
    by_id, by_sku = {row.pk: row for row in stored}, {row.sku: row for row in stored}
    kept = set()
    _refuse_taken_skus(product, bodies)
    for index, body in enumerate(bodies):
        row = _find_row(f"/variants/{index}/id", body.get("id"), by_id) or by_sku.get(body.get("sku", ""))
        kept.add(_save_variant(product, row, body, index).pk)
    if replace:
        Variant.objects.filter(product=product).exclude(pk__in=kept).delete()
    if not Variant.objects.filter(product=product).exists():
        raise InvalidBody([Fault("/variants", "required", "Every product has at least one variant.")])


def _save_variant(product: Product, row: Variant | None, body: Values, index: int) -> Variant:
    columns = {name: value for name, value in body.items() if name not in ("id", "on_hand")}
    if row is None:
        missing = [name for name in ("sku", "price") if name not in columns]
        if missing:
            detail = "A new variant needs it."
            raise InvalidBody([Fault(f"/variants/{index}/{name}", "required", detail) for name in missing])
        row = Variant.objects.create(product=product, **{"position": index + 1} | columns)
    elif columns:
        Variant.objects.filter(pk=row.pk).update(**columns)
    if "on_hand" in body:
        Stock.objects.update_or_create(variant=row, location="main", defaults={"on_hand": body["on_hand"]})
    return row


def _refuse_taken_skus(product: Product, bodies: Sequence[Values]) -> None:
    skus = [body["sku"] for body in bodies if "sku" in body]
    taken = set(Variant.objects.filter(sku__in=skus).exclude(product=product).values_list("sku", flat=True))
    doubled = {sku for sku in skus if skus.count(sku) > 1}
    if wrong := taken | doubled:
        faults = [
            Fault(f"/variants/{index}/sku", "taken", f"{body['sku']!r} belongs to another variant.")
            for index, body in enumerate(bodies)
            if body.get("sku") in wrong
        ] or [Fault("/sku", "taken", "A variant of another product has this SKU.")]
        raise Conflict("A SKU names one variant only.", "Choose another SKU.", faults)


def _save_images(product: Product, bodies: Sequence[Values], replace: bool) -> None:
    stored = list(Image.objects.filter(product=product))
    by_id, by_url = {row.pk: row for row in stored}, {row.url: row for row in stored}
    kept = set()
    for index, body in enumerate(bodies):
        row = _find_row(f"/images/{index}/id", body.get("id"), by_id) or by_url.get(body.get("url", ""))
        kept.add(_save_image(product, row, body, index).pk)
    if replace:
        Image.objects.filter(product=product).exclude(pk__in=kept).delete()


def _save_image(product: Product, row: Image | None, body: Values, index: int) -> Image:
    columns = {name: value for name, value in body.items() if name != "id"}
    if row is not None:
        Image.objects.filter(pk=row.pk).update(**columns)
        return row
    if "url" not in columns:
        raise InvalidBody([Fault(f"/images/{index}/url", "required", "A new image needs it.")])
    return Image.objects.create(product=product, **{"position": index + 1} | columns)


def _find_row[Row](pointer: str, key: int | None, rows: dict[int, Row]) -> Row | None:
    """The row with this id; an id of another product's row is refused, not taken over."""
    if key is None:
        return None
    if key not in rows:
        raise InvalidBody([Fault(pointer, "not_found", f"This product has nothing with the id {key}.")])
    return rows[key]
