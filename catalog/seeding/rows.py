"""A number in, one demo product out. The same number always gives the same product."""

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import islice
from itertools import product as combine
from typing import Any

from django.utils.text import slugify

from catalog.querysets import MAIN
from catalog.seeding.words import (
    CATALOGUE,
    CLOSINGS,
    COLORS,
    DEPARTMENT_BRANDS,
    MIDDLES,
    OPENINGS,
    OPTIONS,
    SERIES,
    VIEWS,
    Leaf,
)

SKU_PREFIX = "TF-"

# A fixed day: with today's date, the rows would differ from machine to machine.
LAST_DAY = datetime(2026, 10, 31, tzinfo=UTC)
# A location beside the default one; nothing is sold from there.
OUTLET = "outlet"
FIRST_DAY = LAST_DAY - timedelta(days=730)

# One digit of the barcode is the variant's number.
MOST_VARIANTS = 9

ATTRIBUTES = {
    "color": "text",
    "material": "text",
    "collection": "text",
    "weight": "number",
    "warranty_years": "number",
    "organic": "boolean",
}


@dataclass(frozen=True)
class DemoProduct:
    """The columns of a product and of all that belongs to it. `brand` is a name, `category` a path of names."""

    brand: str
    category: tuple[str, ...]
    columns: dict[str, Any]
    text: dict[str, Any]
    variants: list[dict[str, Any]]
    stock: list[list[dict[str, Any]]]
    images: list[dict[str, Any]]


def make_sku(number: int) -> str:
    return f"{SKU_PREFIX}{number:08d}"


# Some ten thousand titles repeat.
make_slug = cache(slugify)


def name_picture(number: int, position: int) -> str:
    """Where catalog/media draws it, such as `/pictures/demo/tf-00000007-1.svg`."""
    return f"/pictures/demo/{make_sku(number).lower()}-{position}.svg"


def make_product(number: int) -> DemoProduct:
    chance = random.Random(number)  # noqa: S311 (demo data)
    leaf = chance.choice(CATALOGUE)
    brand = chance.choice(DEPARTMENT_BRANDS[leaf.path[0]])
    series, material, noun = chance.choice(SERIES), chance.choice(leaf.materials), chance.choice(leaf.nouns)
    title = f"{series} {material} {noun}"
    created = FIRST_DAY + (LAST_DAY - FIRST_DAY) * chance.random()
    moments = {"created_at": created, "updated_at": min(LAST_DAY, created + timedelta(days=60 * chance.random()))}
    variants = list(make_variants(chance, number, leaf, moments))
    stock = make_stock(chance, variants)
    images = list(make_images(chance, number, title))
    columns: dict[str, Any] = {
        **moments,
        "sku": make_sku(number),
        "slug": f"{make_slug(title)}-{number}",
        "title": title,
        "status": chance.choices(("active", "draft", "archived"), cum_weights=(92, 97, 100))[0],
        "rating": make_rating(chance),
        "attributes": make_attributes(chance, leaf, material, series, variants),
        **derive_columns(variants, images),
    }
    columns["compare_at_price"] = make_compare_at(chance, columns["price"])
    words = {"title": title, "material": material.lower(), "brand": brand, "series": series, "category": leaf.path[-1]}
    words["weight"] = str(leaf.weight)
    return DemoProduct(brand, leaf.path, columns, make_text(chance, words), variants, stock, images)


def derive_columns(variants: list[dict[str, Any]], images: list[dict[str, Any]]) -> dict[str, Any]:
    """Columns that triggers would compute. With the right values the triggers change nothing."""
    return {
        "price": min(variant["price"] for variant in variants),
        "image_url": images[0]["url"] if images else "",
    }


# -- variants and their prices ----------------------------------------------------------------------------------


def make_variants(
    chance: random.Random, number: int, leaf: Leaf, moments: dict[str, datetime]
) -> Iterator[dict[str, Any]]:
    base, sku = make_price(chance, leaf), make_sku(number)
    for position, choice in enumerate(choose_options(chance, leaf), start=1):
        factor = 1 + sum(step for _, _, step in choice)
        yield moments | {
            "sku": f"{sku}-{position}",
            "barcode": make_barcode(number * 10 + position),
            "options": {name: value for name, value, _ in choice},
            "price": end_price(float(base) * factor) if factor > 1 else base,
            "weight": int(leaf.weight * factor),
            "position": position,
        }


def choose_options(chance: random.Random, leaf: Leaf) -> Iterable[tuple[tuple[str, str, float], ...]]:
    """Combinations of some values of each kind of option. Each value is `(name, value, share added to the price)`."""
    kinds = []
    for kind in leaf.options:
        name, values, step = OPTIONS[kind]
        chosen = sorted(chance.sample(range(len(values)), chance.randint(1, min(len(values), 4))))
        kinds.append([(name, values[index], step * index) for index in chosen])
    return islice(combine(*kinds), MOST_VARIANTS)


def make_price(chance: random.Random, leaf: Leaf) -> Decimal:
    """A price whose logarithm is uniform: most products are cheap, a few are expensive."""
    low, high = math.log(leaf.lowest), math.log(leaf.highest)
    return end_price(math.exp(low + (high - low) * chance.random()))


def end_price(price: float) -> Decimal:
    """Rounds as shops do: 12.90, 129.00."""
    return Decimal(f"{price:.0f}.00") if price >= 60 else Decimal(f"{math.floor(price)}.90")


def make_compare_at(chance: random.Random, price: Decimal) -> Decimal | None:
    """The price before a reduction; one product in four has one."""
    if chance.random() >= 0.25:
        return None
    return end_price(float(price) * chance.uniform(1.15, 1.6)) + 1


def make_barcode(number: int) -> str:
    """An EAN-13 with its check digit, from the range that is for use inside a shop."""
    digits = f"200{number % 10**9:09d}"
    codes = digits.encode()  # of "0" it is 48, so each sum is 6 * 48 too much
    total = sum(codes[::2]) + 3 * sum(codes[1::2]) - 4 * 6 * 48
    return f"{digits}{-total % 10}"


# -- what hangs on it -------------------------------------------------------------------------------------------


def make_stock(chance: random.Random, variants: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The stock rows of each variant. One product in eight is sold out, one in seven also has stock in an outlet."""
    sold_out, outlet = chance.random() < 0.12, chance.random() < 0.15
    locations = (MAIN, OUTLET) if outlet else (MAIN,)
    return [[make_pile(chance, location, sold_out) for location in locations] for _ in variants]


def make_pile(chance: random.Random, location: str, sold_out: bool) -> dict[str, Any]:
    on_hand = 0 if sold_out or chance.random() < 0.15 else chance.randint(1, 120)
    return {"location": location, "on_hand": on_hand, "reserved": min(on_hand, chance.randint(0, 3))}


def make_images(chance: random.Random, number: int, title: str) -> Iterator[dict[str, Any]]:
    for position in range(1, chance.choices((0, 1, 2, 3, 4), cum_weights=(3, 43, 78, 93, 100))[0] + 1):
        yield {"url": name_picture(number, position), "alt": f"{title}, {VIEWS[position - 1]}", "position": position}


def make_rating(chance: random.Random) -> Decimal:
    """A rating; three products in ten have 0, which means unrated."""
    return Decimal(0) if chance.random() < 0.3 else Decimal(f"{1 + 4 * chance.betavariate(7, 2):.2f}")


def make_attributes(
    chance: random.Random, leaf: Leaf, material: str, series: str, variants: list[dict[str, Any]]
) -> dict[str, Any]:
    own = {
        "color": variants[0]["options"].get("color") or chance.choice(COLORS),
        "material": material,
        "collection": series,
        "weight": leaf.weight,
    }
    match leaf.path[0]:
        case "Food" | "Beauty" | "Fashion":
            own["organic"] = chance.random() < 0.3
        case "Electronics" | "Outdoor" | "Kitchen":
            own["warranty_years"] = chance.choice((1, 2, 3, 5, 10))
    return own


def make_text(chance: random.Random, words: dict[str, str]) -> dict[str, Any]:
    sentences = (chance.choice(OPENINGS), *chance.sample(MIDDLES, 2), chance.choice(CLOSINGS))
    opening, *rest = [sentence.format_map(words) for sentence in sentences]
    return {
        "description": " ".join((opening, *rest)),
        "seo_title": f"{words['title']} by {words['brand']}",
        "seo_description": opening,
    }
