"""Functions that create rows for tests."""

from decimal import Decimal
from itertools import count
from typing import Any

from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Brand, Category, Image, Product, ProductText, Stock, Variant

NUMBERS = count(1)


def make_brand(name: str = "") -> Brand:
    name = name or f"Brand {next(NUMBERS)}"
    return Brand.objects.get_or_create(slug=name.lower().replace(" ", "-"), defaults={"name": name})[0]


def make_category(*names: str) -> Category:
    """The category at the end of the path `names`. Creates it and its ancestors if needed."""
    node: Category | None = None
    for depth in range(1, len(names) + 1):
        slug = "-".join(name.lower().replace(" ", "-") for name in names[:depth])
        node, _ = Category.objects.get_or_create(slug=slug, defaults={"name": names[depth - 1], "parent": node})
        node.refresh_from_db()
    assert node is not None
    return node


def make_product(
    *, price: str = "10.00", stock: int = 1, images: int = 1, variants: int = 1, description: str = "", **fields: Any
) -> Product:
    """A complete product, with variants, stock, images and a text."""
    number = next(NUMBERS)
    fields = {"sku": f"SKU-{number}", "slug": f"product-{number}", "title": f"Product {number}"} | fields
    product = Product.objects.create(**fields)
    ProductText.objects.create(product=product, description=description)
    for position in range(1, variants + 1):
        sku = product.sku if position == 1 else f"{product.sku}-{position}"
        variant = Variant.objects.create(product=product, sku=sku, price=Decimal(price), position=position)
        Stock.objects.create(variant=variant, on_hand=stock)
    Image.objects.bulk_create(
        Image(product=product, url=f"https://images.example/{number}/{position}.jpg", position=position)
        for position in range(1, images + 1)
    )
    product.refresh_from_db()
    return product


def make_user(*roles: str, **fields: Any) -> User:
    """A user in the groups named `roles`, with the password `secret`."""
    user = User.objects.create_user(fields.pop("email", f"user-{next(NUMBERS)}@example.com"), "secret", **fields)
    if roles:
        user.groups.set(Group.objects.filter(name__in=roles))
    return user


def make_caller(*roles: str) -> APIClient:
    """A client that is signed in as a user in the groups named `roles`."""
    caller = APIClient()
    caller.force_authenticate(make_user(*roles))
    return caller
