"""A trial write for `doctor`. It runs the triggers of the catalogue and is rolled back, so it changes nothing."""

from django.db import transaction
from django.utils.crypto import get_random_string

from catalog.models import Image, Product, ProductText, Stock, Variant


def try_write() -> None:
    """Raises a DatabaseError if the database reads but can't write."""
    name = f"doctor-{get_random_string(20)}"
    with transaction.atomic():
        product = Product.objects.create(sku=name, slug=name.lower(), title=name, status=Product.Status.DRAFT)
        ProductText.objects.create(product=product)
        variant = Variant.objects.create(product=product, sku=name, price=1)
        Stock.objects.create(variant=variant, on_hand=1)
        Image.objects.create(product=product, url=f"/{name}")
        Product.objects.filter(pk=product.pk).update(title="")
        product.delete()
        transaction.set_rollback(True)
