"""Numbers of products in, rows in the database out. Each batch is a transaction, and memory holds one batch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched, chain
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.text import slugify

from catalog.changes.log import number_all
from catalog.models import Attribute, Brand, Category, Image, Product, ProductText, Stock, Variant
from catalog.querysets import MAIN
from catalog.seeding.rows import ATTRIBUTES, FIRST_DAY, SKU_PREFIX, DemoProduct, make_product
from catalog.seeding.words import CATALOGUE, DEPARTMENT_BRANDS
from catalog.statistics import refresh_statistics

# 10,000 products on SQLite take 5.5 s in batches of 500 and 5.4 s in batches of 2,000. With 500 the progress bar moves
# more evenly.
BATCH = 500


@dataclass(frozen=True)
class Shelves:
    """The ids that demo products refer to: brands by name, categories by path."""

    brands: dict[str, int]
    categories: dict[tuple[str, ...], int]


def count_seeded() -> int:
    """The number of the last demo product, 0 if there is none. It is read from the SKU: rows may have been deleted."""
    # A range, not a prefix: an index doesn't serve LIKE in every collation.
    rows = Product.objects.filter(sku__gt=SKU_PREFIX, sku__lt=f"{SKU_PREFIX}:").order_by("-sku")
    numbers = (sku.removeprefix(SKU_PREFIX) for sku in rows.values_list("sku", flat=True)[:1])
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def fill_catalogue(first: int, last: int) -> Iterator[int]:
    """Write the products `first` to `last`. Yields the size of each batch after its commit."""
    shelves = put_up_shelves()
    for numbers in batched(range(first, last + 1), BATCH):
        with transaction.atomic():
            write_products([make_product(number) for number in numbers], shelves)
        yield len(numbers)
    refresh_statistics()
    number_all()


@transaction.atomic
def put_up_shelves() -> Shelves:
    """Create brands, categories and declared attributes, unless they exist."""
    for name, kind in ATTRIBUTES.items():
        Attribute.objects.get_or_create(name=name, defaults={"type": kind})
    moments = {"created_at": FIRST_DAY, "updated_at": FIRST_DAY}
    brands = {
        name: Brand.objects.get_or_create(slug=slugify(name), defaults=moments | {"name": name})[0].pk
        for name in chain.from_iterable(DEPARTMENT_BRANDS.values())
    }
    categories: dict[tuple[str, ...], int] = {}
    for path in sorted({leaf.path[:depth] for leaf in CATALOGUE for depth in (1, 2, 3)}):
        fields = moments | {"name": path[-1], "parent_id": categories.get(path[:-1])}
        categories[path] = Category.objects.get_or_create(slug=slugify(" ".join(path)), defaults=fields)[0].pk
    return Shelves(brands, categories)


def write_products(demos: Sequence[DemoProduct], shelves: Shelves) -> None:
    """Five inserts for a batch. Price, in_stock and image_url are right already, so the triggers change nothing."""
    products = Product.objects.bulk_create(build_products(demos, shelves))
    pairs = list(zip(products, demos, strict=True))
    ProductText.objects.bulk_create(ProductText(product=product, **demo.text) for product, demo in pairs)
    variants = Variant.objects.bulk_create(list(build_rows(Variant, "product", pairs, "variants")))
    # Stock that orders can take first: SQLite's triggers run for each row, and an empty pile would set in_stock to
    # false until a full one comes.
    Stock.objects.bulk_create(sorted(build_stock(variants, demos), key=is_no_order_s))
    Image.objects.bulk_create(build_rows(Image, "product", pairs, "images"))


def is_no_order_s(pile: Stock) -> bool:
    return pile.location != MAIN or pile.on_hand <= pile.reserved


def build_products(demos: Iterable[DemoProduct], shelves: Shelves) -> list[Product]:
    return [
        Product(
            brand_id=shelves.brands[demo.brand],
            category_id=shelves.categories[demo.category],
            currency=settings.CURRENCY,
            **demo.columns,
        )
        for demo in demos
    ]


def build_rows(model: Any, parent: str, pairs: Iterable[tuple[Product, DemoProduct]], rows: str) -> Iterator[Any]:
    for product, demo in pairs:
        for columns in getattr(demo, rows):
            yield model(**{parent: product}, **columns)


def build_stock(variants: Iterable[Variant], demos: Iterable[DemoProduct]) -> Iterator[Stock]:
    for variant, piles in zip(variants, chain.from_iterable(demo.stock for demo in demos), strict=True):
        for pile in piles:
            yield Stock(variant=variant, **pile)
