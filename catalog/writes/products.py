"""Checked values in, one product with its texts, variants and images written out, in one transaction.

PATCH and PUT match nested rows by id, SKU or URL. PATCH keeps the other nested rows; PUT deletes them.
"""

from django.db import transaction
from django.http import Http404

from catalog.models import Product
from catalog.writes.bodies import ProductsWriter
from catalog.writes.plans import Manner, Mode
from config.api.writes.bodies import Row, Values, refuse_rows


def create_product(body: Values) -> Product:
    """Create a product. Without `variants` it gets one variant with its own SKU and `price`."""
    return write_product(body, Manner(Mode.CREATE))


def update_product(product: Product, body: Values, replace: bool) -> Product:
    """Update a product. With `replace` (PUT), nested rows that the body's lists don't have are deleted."""
    return write_product(body | {"id": product.pk}, Manner(Mode.UPDATE, replaces=replace))


def write_product(body: Values, manner: Manner) -> Product:
    # The caller already has a transaction. It also holds the lock on the row that `If-Match` was compared with.
    with transaction.atomic(savepoint=False):
        writer = ProductsWriter([Row("", body)], manner)
        (plan,) = writer.upsert.plans
        if plan.is_new and manner.mode == Mode.UPDATE:
            raise Http404  # deleted since the view read it
        refuse_rows(writer.rows)
        writer.save()
    assert plan.product is not None  # saved
    return plan.product


def delete_product(product: Product) -> None:
    """Delete the product with all that belongs to it. Order lines are copies and stay."""
    with transaction.atomic(savepoint=False):
        product.delete()
