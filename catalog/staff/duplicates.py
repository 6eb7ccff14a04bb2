"""A product in, a draft like it out: with its texts, variants and pictures, with SKUs of its own, and without stock."""

from django.db import transaction

from catalog.models import Image, Product, ProductText, Variant
from catalog.writes.slugs import Newcomer, choose_slugs

ENDING = "COPY"
# The copies of one product, and of one variant, whose SKUs are tried.
MOST_TRIES = 1_000


@transaction.atomic
def duplicate_product(product: Product) -> Product:
    """The draft. Its price, stock and picture are computed by triggers, as always."""
    sku = find_free_sku(product.sku)
    title = f"{product.title} (copy)"[:500]
    [slug] = choose_slugs([Newcomer(sku, title, "")]).values()
    copy = Product.objects.create(
        sku=sku, slug=slug, title=title, status=Product.Status.DRAFT, brand_id=product.brand_id,
        category_id=product.category_id, currency=product.currency, compare_at_price=product.compare_at_price,
        attributes=product.attributes,
    )  # fmt: skip
    copy_text(product, copy)
    for variant in Variant.objects.filter(product=product).order_by("position", "pk"):
        rest = variant.sku.removeprefix(product.sku) if variant.sku.startswith(product.sku) else f"-{variant.sku}"
        variant.pk, variant.product, variant.barcode = None, copy, ""
        variant.sku = find_free_sku(f"{sku}{rest}"[:100], ending="")
        variant._state.adding = True
        variant.save(force_insert=True)
    images = Image.objects.filter(product=product).order_by("position", "pk")
    Image.objects.bulk_create(
        Image(product=copy, url=one.url, alt=one.alt, position=one.position, width=one.width, height=one.height,
              thumbnails=one.thumbnails)
        for one in images
    )  # fmt: skip
    return copy


def copy_text(product: Product, copy: Product) -> None:
    text = ProductText.objects.filter(product=product).first()
    members = {name: getattr(text, name, "") for name in ("description", "seo_title", "seo_description")}
    ProductText.objects.create(product=copy, **members)


def find_free_sku(sku: str, ending: str = ENDING) -> str:
    """`A-COPY`, `A-COPY-2`, … : the first that neither a product nor a variant has."""
    base = f"{sku[:80]}-{ending}" if ending else sku
    names = [base, *(f"{base[:95]}-{number}" for number in range(2, MOST_TRIES))]
    for name in names:
        if not (Product.objects.filter(sku=name).exists() or Variant.objects.filter(sku=name).exists()):
            return name
    raise ValueError(f"{sku} has {MOST_TRIES} copies")
