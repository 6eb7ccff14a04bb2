"""A cell in, the value of a field out; what can't be one is refused with the rule and the remedy.

A cell is text (CSV) or any JSON value (NDJSON). Whoever reads a row adds line and column to a BadValue.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Any

from django.conf import settings

from catalog.models import Product

type Cell = Any


class Blank(Enum):
    """What a blank cell says about a field that can't be empty in the database: nothing."""

    KEEPS = "keeps"


class BadValue(Exception):
    """The rule that a value breaks and what to do about it, as one clause each."""

    def __init__(self, rule: str, remedy: str) -> None:
        super().__init__(f"{rule}; {remedy}")


@dataclass(frozen=True, slots=True)
class Field:
    """How a cell is read, and what a blank one means."""

    read: Callable[[Cell], Any]
    blank: Any = Blank.KEEPS


NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
SLUG = re.compile(r"[-\w]+")
CENT = Decimal("0.01")
# PostgreSQL's integer.
MOST_INTEGER = 2_147_483_647
# An index entry of PostgreSQL has 2,704 bytes; images are unique by product and URL.
MOST_URL_BYTES = 2_000
# A search document of PostgreSQL has 1 MiB; this stays below it in every alphabet.
MOST_TEXT = 100_000
# Past 15 digits a float isn't what was written, and jsonb would give back another number.
MOST_JSON_NUMBER = 10**15
MOST_JSON_TEXT = 20_000
# Category.path has room for twenty ids.
MOST_LEVELS = 10
DIGITS_ONLY = "write digits and at most one dot, without currency sign or thousands separator, as in 1299.50"


def is_blank(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def read_text(cell: Cell) -> str:
    """The cell as text without blanks around it; lists, objects, NUL and half characters are refused."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        raise BadValue(f"is {name_type(cell)}", "give a text or a number")
    text = cell.strip() if isinstance(cell, str) else repr(cell)
    refuse_odd_characters(text)
    return text


def name_type(cell: Cell) -> str:
    return {bool: "true or false", list: "a list", dict: "an object"}.get(type(cell), "no text")


def refuse_odd_characters(text: str) -> None:
    if "\0" in text:
        raise BadValue("holds a NUL character", "remove it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        # The reader hides an undecodable byte 0xE9 as U+DCE9; any other surrogate came from a \u escape.
        what = f"the byte 0x{code - 0xDC00:02X}" if 0xDC80 <= code <= 0xDCFF else f"the half character U+{code:04X}"
        rule = f"holds {what} as its character {error.start + 1}, which isn't UTF-8"
        raise BadValue(rule, "save the file as UTF-8") from None


def read_line(most: int) -> Callable[[Cell], str]:
    """A reader of texts of at most `most` characters."""

    def read(cell: Cell) -> str:
        text = read_text(cell)
        if len(text) > most:
            raise BadValue(f"has {len(text):,} characters", f"shorten it to {most:,}")
        return text

    return read


def read_number(cell: Cell, remedy: str) -> Decimal:
    text = read_text(cell)
    if not NUMBER.fullmatch(text):
        raise BadValue("is not a number", remedy)
    number = Decimal(text)
    if number < 0:
        raise BadValue("is below 0", "give 0 or more")
    return number


def read_price(cell: Cell) -> Decimal:
    """A price of at most twelve digits, two of them behind the dot."""
    price = read_number(cell, DIGITS_ONLY)
    if price >= 10**10:
        raise BadValue("has more than 10 digits before the dot", "give at most 9999999999.99")
    if price != price.quantize(CENT):
        raise BadValue("has more than two places behind the dot", "round it to two, as in 12.50")
    return price.quantize(CENT)


def read_rating(cell: Cell) -> Decimal:
    """0 to 5, rounded to two places: a mean of many ratings has more, and it isn't money."""
    rating = read_number(cell, "write digits and a dot, as in 4.5")
    if rating > 5:
        raise BadValue("is above 5", "give 0 (unrated) to 5")
    return rating.quantize(CENT, ROUND_HALF_UP)


def read_whole(cell: Cell) -> int:
    number = read_number(cell, "write digits only, as in 12")
    if number > MOST_INTEGER:
        raise BadValue(f"is above {MOST_INTEGER:,}", "give a smaller number")
    if number != number.to_integral_value():
        raise BadValue("is not a whole number", "write digits only, as in 12")
    return int(number)


def read_grams(cell: Cell) -> int:
    """Rounded to a whole gram: pounds and ounces come with places in Shopify's files."""
    grams = read_number(cell, "write grams as digits and a dot, as in 250")
    return read_whole(str(grams.to_integral_value(ROUND_HALF_UP))) if grams < MOST_INTEGER else read_whole(cell)


def read_oversold(cell: Cell) -> int:
    """A quantity of Shopify, which counts below zero when more was sold than was there: 0 pieces on hand."""
    text = read_text(cell)
    return read_whole(0 if text.startswith("-") and NUMBER.fullmatch(text) else text)


def read_slug(cell: Cell) -> str:
    slug = read_line(255)(cell)
    if not SLUG.fullmatch(slug):
        raise BadValue("is no slug", "use letters, digits, hyphens and underscores only")
    return slug


def read_status(cell: Cell) -> str:
    return read_choice(cell, tuple(Product.Status.values))


def read_published(cell: Cell) -> bool:
    return read_choice(cell, ("true", "false")) == "true"


def read_choice(cell: Cell, choices: tuple[str, ...]) -> str:
    text = read_text(cell).lower()
    if text not in choices:
        raise BadValue("is unknown", f"give one of {', '.join(choices)}")
    return text


def read_currency(cell: Cell) -> str:
    """Every price of one server has one currency; a file in another must not pass for it."""
    if read_text(cell).upper() != settings.CURRENCY:
        raise BadValue(f"is not this server's {settings.CURRENCY}", "convert the prices, or set CURRENCY")
    return str(settings.CURRENCY)


def read_url(cell: Cell) -> str:
    url = read_line(1000)(cell)
    if len(url.encode()) > MOST_URL_BYTES:
        raise BadValue(f"has {len(url.encode()):,} bytes", f"shorten it to {MOST_URL_BYTES:,}")
    # javascript: in a link is somebody else's program on our page.
    scheme = re.match(r"([a-zA-Z][\w+.-]*):", url)
    if scheme and scheme[1].lower() not in ("http", "https"):
        raise BadValue(f"begins with {scheme[1]}:", "give an http or https address or a path")
    return url


def read_category(cell: Cell) -> tuple[str, ...]:
    """The names from the root down: a list, the cells of several columns, or one text like `Food > Tea`."""
    cells = cell if isinstance(cell, list) else read_text(cell).split(">")
    names = tuple(read_line(200)(name) for name in cells if not is_blank(name))
    if len(names) > MOST_LEVELS:
        raise BadValue(f"has {len(names)} levels", f"give at most {MOST_LEVELS}")
    return names


def read_tags(cell: Cell) -> list[str] | None:
    """Each tag once, from a list or a text with commas."""
    tags = cell if isinstance(cell, list) else read_text(cell).split(",")
    return list(dict.fromkeys(read_line(200)(tag) for tag in tags if not is_blank(tag))) or None


def read_list(cell: Cell) -> list[Any]:
    return read_json(cell, list)


def read_object(cell: Cell) -> dict[str, Any]:
    value = read_json(cell, dict)
    for item in walk_json(value):
        if isinstance(item, str):
            refuse_odd_characters(item)
        elif isinstance(item, int | float) and not (math.isfinite(item) and abs(item) < MOST_JSON_NUMBER):
            raise BadValue("holds a number of more than 15 digits", "give it as a text, in quotes")
    if len(json.dumps(value)) > MOST_JSON_TEXT:
        raise BadValue(f"has more than {MOST_JSON_TEXT:,} characters", "shorten it")
    return value


def read_json(cell: Cell, kind: type[Any]) -> Any:
    """A JSON value of NDJSON as it is; in a CSV it stands as text."""
    try:
        value = json.loads(cell) if isinstance(cell, str) else cell
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise BadValue(f"is not a JSON {'list' if kind is list else 'object'}", 'write it as in {"colour": "red"}')
    return value


def walk_json(value: Any) -> list[Any]:
    """Every key and value inside, without recursion: a file may nest deeper than Python's stack."""
    found, left = [], [value]
    while left:
        item = left.pop()
        found.append(item)
        if isinstance(item, dict):
            left += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            left += item
    return found


def show_cell(cell: Cell) -> str:
    """The cell for a message: short, and without characters that would move a terminal's cursor."""
    text = json.dumps(cell, default=str) if not isinstance(cell, str) else cell.strip()
    text = text if len(text) <= 60 else f"{text[:60]}…"
    return f"'{''.join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)}'"


FIELDS = {
    "sku": Field(read_line(100)),
    "slug": Field(read_slug),
    "title": Field(read_line(500)),
    "brand": Field(read_line(200), blank=None),
    "category": Field(read_category, blank=()),
    "status": Field(read_status),
    "currency": Field(read_currency),
    "price": Field(read_price),
    "compare_at_price": Field(read_price, blank=None),
    "rating": Field(read_rating),
    "description": Field(read_line(MOST_TEXT), blank=""),
    "seo_title": Field(read_line(500), blank=""),
    "seo_description": Field(read_line(MOST_TEXT), blank=""),
    "tags": Field(read_tags, blank=None),
    "attributes": Field(read_object),
    "image": Field(read_url),
    "images": Field(read_list),
    "barcode": Field(read_line(50), blank=""),
    "weight": Field(read_grams),
    "options": Field(read_object),
    "stock": Field(read_whole),
    "variants": Field(read_list),
}
