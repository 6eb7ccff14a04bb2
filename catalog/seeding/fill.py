"""Numbers of products in, rows in the database out. They come in batches, and memory holds two batches at most.

An empty catalogue is filled in one transaction (bare.py). In any other, each batch is a transaction.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model
from django.utils.text import slugify

from catalog.changes.log import number_all, number_meanwhile
from catalog.models import Attribute, Brand, Category, Image, Location, Product, ProductText, Stock, Variant
from catalog.search.vocabulary import count_words
from catalog.seeding.bare import bare_tables, is_empty, lock_tables
from catalog.seeding.loading import Row, load
from catalog.seeding.rows import ATTRIBUTES, FIRST_DAY, OUTLET, SKU_PREFIX, DemoProduct, make_product
from catalog.seeding.words import CATALOGUE, DEPARTMENT_BRANDS
from catalog.seeding.writers import write_by_two
from catalog.statistics import refresh_statistics
from catalog.title_keys import make_title_key
from catalog.writes.keys import take_keys
from config.api.database.ahead import read_ahead
from config.process.collector import pause_collector

# 10,000 products on SQLite take 5.5 s in batches of 500 and 5.4 s in batches of 2,000. With 500 the progress bar moves
# more evenly. On PostgreSQL each statement plans what its triggers do.
BATCH = {"postgresql": 2_000, "sqlite": 500}
ORDER = {
    "postgresql": (Image, Variant, Stock, Product, ProductText),
    "sqlite": (Image, Variant, Stock, ProductText, Product),
}


# Titles repeat.
make_key = cache(make_title_key)


@dataclass(frozen=True)
class Shelves:
    """What demo products refer to: the ids of brands by name and of categories by path, and the locations."""

    brands: dict[str, int]
    categories: dict[tuple[str, ...], int]
    # The codes of the locations whose stock is sold.
    sellable: frozenset[str]


def count_seeded() -> int:
    """The number of the last demo product, 0 if there is none. It is read from the SKU: rows may have been deleted."""
    # A range, not a prefix: an index doesn't serve LIKE in every collation.
    rows = Product.objects.filter(sku__gt=SKU_PREFIX, sku__lt=f"{SKU_PREFIX}:").order_by("-sku")
    numbers = (sku.removeprefix(SKU_PREFIX) for sku in rows.values_list("sku", flat=True)[:1])
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def fill_catalogue(first: int, last: int) -> Generator[int]:
    """Write the products `first` to `last`. Yields the size of each batch."""
    size = BATCH[connection.vendor]
    batches = [range(number, min(number + size, last + 1)) for number in range(first, last + 1, size)]
    is_filled = yield from fill_at_once(batches)
    if not is_filled:
        yield from fill_by_batches(batches)
    refresh_statistics()
    number_all()
    count_words()


def fill_at_once(batches: Sequence[Sequence[int]]) -> Generator[int, None, bool]:
    """Fill an empty catalogue in one transaction; False, and nothing is written, if it isn't empty."""
    if connection.in_atomic_block or not is_empty():
        return False
    with undo_in_memory(), connection.constraint_checks_disabled(), transaction.atomic():
        if not lock_tables():
            return False
        shelves = put_up_shelves()
        with bare_tables(), closing(make_ahead(batches)) as made:
            for demos in made:
                with pause_collector():
                    write_products(demos, shelves)
                yield len(demos)
    return True


def make_ahead(batches: Iterable[Sequence[int]]) -> Generator[Sequence[DemoProduct]]:
    """PostgreSQL writes one batch while the next is made; SQLite works in this process."""
    made = make_batches(batches)
    return read_ahead(made) if connection.vendor == "postgresql" else made


def make_batches(batches: Iterable[Sequence[int]]) -> Generator[Sequence[DemoProduct]]:
    for numbers in batches:
        yield [make_product(number) for number in numbers]


def fill_by_batches(batches: Sequence[Sequence[int]]) -> Generator[int]:
    """Each batch is a transaction, and the triggers write what follows from it."""
    write = partial(write_batch, shelves=put_up_shelves())
    with undo_in_memory(), number_meanwhile() as number_changes:
        for written in (write_by_two if has_room() else write_alone)(batches, write):
            number_changes()
            yield written


@contextmanager
def undo_in_memory() -> Iterator[None]:
    """Let SQLite hold in memory what would undo a statement: with its triggers each changes some ten pages.

    In a temporary file these were two million writes for 10,000 products, a quarter of the CPU. Memory holds those of a
    single statement, as long as a batch has no savepoints.
    """
    is_wanted = connection.vendor == "sqlite" and not connection.in_atomic_block
    if not is_wanted:
        yield
        return
    set_temp_store("MEMORY")
    try:
        yield
    finally:
        set_temp_store("DEFAULT")


def set_temp_store(place: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA temp_store = {place}")


def has_room() -> bool:
    """Whether two can write at once: not on SQLite, and not within a transaction, whose rows nobody else sees."""
    return connection.vendor == "postgresql" and not connection.in_atomic_block


def write_alone(batches: Iterable[Sequence[int]], write: Callable[[Sequence[int]], int]) -> Iterator[int]:
    for numbers in batches:
        with pause_collector(), transaction.atomic():
            size = write(numbers)
        yield size


def write_batch(numbers: Sequence[int], shelves: Shelves) -> int:
    write_products([make_product(number) for number in numbers], shelves)
    return len(numbers)


@transaction.atomic
def put_up_shelves() -> Shelves:
    """Create brands, categories and declared attributes, unless they exist."""
    for name, kind in ATTRIBUTES.items():
        Attribute.objects.get_or_create(name=name, defaults={"type": kind})
    Location.objects.get_or_create(code=OUTLET, defaults={"name": "Outlet", "sellable": False, "priority": 2})
    moments = {"created_at": FIRST_DAY, "updated_at": FIRST_DAY}
    brands = {
        name: Brand.objects.get_or_create(slug=slugify(name), defaults=moments | {"name": name})[0].pk
        for name in chain.from_iterable(DEPARTMENT_BRANDS.values())
    }
    categories: dict[tuple[str, ...], int] = {}
    for path in sorted({leaf.path[:depth] for leaf in CATALOGUE for depth in (1, 2, 3)}):
        fields = moments | {"name": path[-1], "parent_id": categories.get(path[:-1])}
        categories[path] = Category.objects.get_or_create(slug=slugify(" ".join(path)), defaults=fields)[0].pk
    sellable = Location.objects.filter(sellable=True).values_list("code", flat=True)
    return Shelves(brands, categories, frozenset(sellable))


def write_products(demos: Sequence[DemoProduct], shelves: Shelves) -> None:
    """Five inserts for a batch. Price, in_stock, image_url and title_key are right already.

    What a product has is inserted before it, as far as the triggers allow: then they have nothing to compare, and write
    nothing a second time. On PostgreSQL the search document needs the product.
    """
    rows = list_rows(demos, shelves)
    for model in ORDER[connection.vendor]:
        load(model, rows[model])


def list_rows(demos: Sequence[DemoProduct], shelves: Shelves) -> dict[type[Model], list[Row]]:
    """The columns of all rows by table, with the keys that refer to others."""
    keys = take_keys(Product, len(demos))
    owned = [({"product_id": key}, demo) for key, demo in zip(keys, demos, strict=True)]
    variants = [owner | columns for owner, demo in owned for columns in demo.variants]
    variant_keys = take_keys(Variant, len(variants))
    piles = zip(variant_keys, chain.from_iterable(demo.stock for demo in demos), strict=True)
    return {
        Product: [{"id": key, **list_columns(demo, shelves)} for key, demo in zip(keys, demos, strict=True)],
        ProductText: [owner | demo.text for owner, demo in owned],
        Variant: [{"id": key, **columns} for key, columns in zip(variant_keys, variants, strict=True)],
        Stock: [{"variant_id": key, **pile} for key, row in piles for pile in row],
        Image: [owner | columns for owner, demo in owned for columns in demo.images],
    }


def list_columns(demo: DemoProduct, shelves: Shelves) -> dict[str, Any]:
    return {
        **demo.columns,
        "title_key": make_key(demo.columns["title"]),
        "brand_id": shelves.brands[demo.brand],
        "category_id": shelves.categories[demo.category],
        "in_stock": is_in_stock(demo, shelves.sellable),
        "currency": settings.CURRENCY,
    }


def is_in_stock(demo: DemoProduct, sellable: frozenset[str]) -> bool:
    piles = chain.from_iterable(demo.stock)
    return any(pile["on_hand"] > pile["reserved"] for pile in piles if pile["location"] in sellable)
