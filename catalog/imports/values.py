"""A cell in, the value of a field out, by the rules of catalog/writes/values.py. A bad value raises BadValue.

A cell is text (CSV) or any JSON value (NDJSON). This module has what only files need: the meaning of a blank cell, and
repairs of what spreadsheets do to numbers and letters. The rule is applied after them.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Any

from django.conf import settings

from catalog.writes.values import (
    ALT,
    ATTRIBUTES,
    BARCODE,
    CENT,
    COUNT,
    CURRENCY,
    DESCRIPTION,
    IMAGE,
    NAME,
    NUMBER,
    OPTIONS,
    PRICE,
    RATING,
    SEO_DESCRIPTION,
    SEO_TITLE,
    SKU,
    SLUG,
    STATUS,
    TITLE,
    BadValue,
    Choice,
    List,
    count_digits,
    read_text,
    refuse_odd_characters,
)

type Cell = Any


class Blank(Enum):
    """The meaning of a blank cell for a field that can't be empty: the field keeps its value."""

    KEEPS = "keeps"


@dataclass(frozen=True, slots=True)
class Field:
    """How a cell is read, and the value that a blank cell gives."""

    read: Callable[[Cell], Any]
    blank: Any = Blank.KEEPS


# Only smaller numbers are rounded; larger ones are out of range anyway.
MOST_ROUNDED = 10**12
# A float is exact up to 15 digits. Beyond that jsonb would return another number.
MOST_JSON_NUMBER = 10**15
MOST_JSON_TEXT = 20_000
# The most names in a category's path. (Category.path has room for twenty ids.)
MOST_LEVELS = 10
# The most variants or images of a product: it is written as a whole, so it must fit into memory. Shopify's own limits
# are 2,048 and 250.
MOST_PARTS = 2_500

# Files name brands and categories, where bodies have slugs. Only files have tags.
PUBLISHED = Choice(("true", "false"))
PARTS = List(MOST_PARTS)


def is_blank(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def read_rating(cell: Cell) -> Decimal:
    """Rounds to two decimal places: a mean of many ratings has more."""
    return RATING.check(round_half_up(RATING.parse(cell)))


def round_half_up(number: Decimal, place: Decimal = CENT) -> Decimal:
    """Rounds `number` to the decimal places of `place`, if it has more."""
    is_short = count_digits(number)[1] <= count_digits(place)[1]
    return number if is_short or abs(number) >= MOST_ROUNDED else number.quantize(place, ROUND_HALF_UP)


def read_grams(cell: Cell) -> int:
    """Rounds to a whole gram: Shopify converts pounds and ounces to fractions of a gram."""
    return COUNT.check(round_half_up(COUNT.parse(cell), Decimal(1)))


def read_oversold(cell: Cell) -> int:
    """A quantity of Shopify. It is below zero if more was sold than was there; that becomes 0 pieces on hand."""
    text = read_text(cell)
    return COUNT.read(0 if text.startswith("-") and NUMBER.fullmatch(text) else text)


def read_status(cell: Cell) -> str:
    return STATUS.read(fold_letters(cell))


def read_published(cell: Cell) -> bool:
    return PUBLISHED.read(fold_letters(cell)) == "true"


def fold_letters(cell: Cell) -> Cell:
    return cell.strip().lower() if isinstance(cell, str) else cell


def read_currency(cell: Cell) -> str:
    """All prices of a server have one currency, so a file in another currency is an error."""
    currency = CURRENCY.read(cell.upper() if isinstance(cell, str) else cell)
    if currency != settings.CURRENCY:
        rule = f"is not this server's {settings.CURRENCY}"
        raise BadValue("invalid", rule, "convert the prices, or set CURRENCY")
    return currency


def read_category(cell: Cell) -> tuple[str, ...]:
    """The names from the top-level category down. The cell is a list, or one text like `Food > Tea`."""
    cells = cell if isinstance(cell, list) else read_text(cell).split(">")
    names = tuple(NAME.read(name) for name in cells if not is_blank(name))
    if len(names) > MOST_LEVELS:
        raise BadValue("max_length", f"has {len(names)} levels", f"give at most {MOST_LEVELS}")
    return names


def read_tags(cell: Cell) -> list[str] | None:
    """Each tag once. The cell is a list, or a comma-separated text."""
    tags = cell if isinstance(cell, list) else read_text(cell).split(",")
    return list(dict.fromkeys(NAME.read(tag) for tag in tags if not is_blank(tag))) or None


def read_parts(cell: Cell) -> list[Any]:
    return PARTS.read(parse_json(cell))


def read_attributes(cell: Cell) -> dict[str, Any]:
    value = ATTRIBUTES.read(parse_json(cell))
    check_json(value)
    return value


def read_options(cell: Cell) -> dict[str, str]:
    value = OPTIONS.read(parse_json(cell))
    check_json(value)
    return value


def parse_json(cell: Cell) -> Any:
    """The JSON value of a cell. A CSV's cell is text: it is parsed, and stays text if it isn't JSON."""
    try:
        return json.loads(cell) if isinstance(cell, str) else cell
    except (ValueError, RecursionError):
        return cell


def check_json(value: dict[str, Any]) -> None:
    """Checks characters, numbers and size. (For bodies the parser has done so.) Raises BadValue."""
    for item in walk_json(value):
        if isinstance(item, str):
            refuse_odd_characters(item)
        elif isinstance(item, int | float) and not (math.isfinite(item) and abs(item) < MOST_JSON_NUMBER):
            raise BadValue("invalid", "holds a number of more than 15 digits", "give it as a text, in quotes")
    if len(json.dumps(value)) > MOST_JSON_TEXT:
        raise BadValue("max_length", f"has more than {MOST_JSON_TEXT:,} characters", "shorten it")


def walk_json(value: Any) -> list[Any]:
    """All keys and values inside. No recursion, since a file may nest deeper than Python's stack."""
    found, left = [], [value]
    while left:
        item = left.pop()
        found.append(item)
        if isinstance(item, dict):
            left += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            left += item
    return found


FIELDS = {
    "sku": Field(SKU.read),
    "slug": Field(SLUG.read),
    "title": Field(TITLE.read),
    "brand": Field(NAME.read, blank=None),
    "category": Field(read_category, blank=()),
    "status": Field(read_status),
    "currency": Field(read_currency),
    "price": Field(PRICE.read),
    "compare_at_price": Field(PRICE.read, blank=None),
    "rating": Field(read_rating),
    "description": Field(DESCRIPTION.read, blank=""),
    "seo_title": Field(SEO_TITLE.read, blank=""),
    "seo_description": Field(SEO_DESCRIPTION.read, blank=""),
    "tags": Field(read_tags, blank=None),
    "attributes": Field(read_attributes),
    "image": Field(IMAGE.read),
    "images": Field(read_parts),
    "barcode": Field(BARCODE.read, blank=""),
    "weight": Field(read_grams),
    "options": Field(read_options),
    "stock": Field(COUNT.read),
    "variants": Field(read_parts),
}
ALT_FIELD = Field(ALT.read, blank="")
POSITION_FIELD = Field(COUNT.read)
