"""Checked values in, one product written with its texts, variants and images, in one transaction.

PATCH matches nested rows by id, SKU or URL and deletes none that it doesn't name; PUT deletes the others.
"""

from django.db import transaction
from django.http import Http404

from catalog.models import Product
from catalog.writes.bodies import ProductsWriter
from catalog.writes.plans import Manner, Mode
from config.api.writes.bodies import Row, Values, refuse_rows


def create_product(body: Values) -> Product:
    """The new product; without variants it gets one with its own SKU and `price`."""
    return write_product(body, Manner(Mode.CREATE))


def update_product(product: Product, body: Values, replace: bool) -> Product:
    """The product changed; with `replace` (PUT) the nested lists in the body are all that stays."""
    return write_product(body | {"id": product.pk}, Manner(Mode.UPDATE, replaces=replace))


def write_product(body: Values, manner: Manner) -> Product:
    # Its caller has a transaction already, which also holds what `If-Match` was compared with.
    with transaction.atomic(savepoint=False):
        writer = ProductsWriter([Row("", body)], manner)
        (plan,) = writer.upsert.plans
        if plan.is_new and manner.mode == Mode.UPDATE:
            raise Http404  # deleted since its view has looked
        refuse_rows(writer.rows)
        writer.save()
    assert plan.product is not None  # saved
    return plan.product


def delete_product(product: Product) -> None:
    """Gone for good, with all that belongs to it; order lines are copies and stay."""
    with transaction.atomic(savepoint=False):
        product.delete()
