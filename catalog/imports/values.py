"""A cell in, the value of a field out, by the rules of catalog/writes/values.py. A bad value raises BadValue.

A cell is text (CSV) or any JSON value (NDJSON, workbooks). This module has what only files need: the meaning of a blank
cell, the file's own way to write paths, lists and letters; numbers.py has its numbers. The rule is applied after them.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.conf import settings

from catalog.imports.money import drop_currency
from catalog.imports.numbers import Cell, Weights, is_nothing, refuse_cut, refuse_failed, round_half_up, write_number
from catalog.imports.options import Options
from catalog.imports.records import Notes
from catalog.imports.trees import DECODER, RepeatedMember
from catalog.writes.taxonomy import SLUG_MOST, BrandName, CategoryPath
from catalog.writes.values import (
    ALT,
    ATTRIBUTES,
    BARCODE,
    COUNT,
    CURRENCY,
    DESCRIPTION,
    IMAGE,
    LOCATION,
    NAME,
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
    Slug,
    read_text,
    refuse_odd_characters,
    show_value,
)


class Blank(Enum):
    """The meaning of a blank cell for a field that can't be empty: the field keeps its value."""

    KEEPS = "keeps"


@dataclass(frozen=True, slots=True)
class Field:
    """How a cell is read, and the value that a blank cell gives."""

    read: Callable[[Cell], Any]
    blank: Any = Blank.KEEPS


# A float is exact up to 15 digits. Beyond that jsonb would return another number.
MOST_JSON_NUMBER = 10**15
MOST_JSON_TEXT = 20_000
# The most names in a category's path: Category.path has room for so many ids.
MOST_LEVELS = 20
# The most variants or images of a product: it is written as a whole, so it must fit into memory. Shopify's own limits
# are 2,048 and 250.
MOST_PARTS = 2_500

# Files name brands and categories, where bodies have slugs. Only files have tags.
PUBLISHED = Choice(("true", "false"))
PARTS = List(MOST_PARTS)


def is_blank(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


# -- choices -------------------------------------------------------------------------------------------------------


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


# Between the names of a path. Our own exports write a > within a name as \>.
SEPARATOR = re.compile(r"(?<!\\)>")
# Signs that part a path in other shops' files.
OTHER_SEPARATORS = re.compile(r"&gt;|/|\||»|\u203a|::|;|\\|→")


@dataclass(frozen=True, slots=True)
class Paths:
    """Reads a category's path: the names from the top-level one down."""

    separator: str
    notes: Notes

    def read(self, cell: Cell) -> CategoryPath | None:
        """The cell is a list, or one text like `Food > Tea`."""
        cells = cell if isinstance(cell, list) else self.split(read_text(cell))
        names = tuple(NAME.read(name) for name in cells if not is_blank(name))
        if len(names) > MOST_LEVELS:
            raise BadValue("max_length", f"has {len(names)} levels", f"give at most {MOST_LEVELS}")
        return CategoryPath(names) if names else None

    def split(self, text: str) -> list[str]:
        if self.separator:
            return text.split(self.separator)
        names = [name.replace(r"\>", ">") for name in SEPARATOR.split(text)]
        if "&gt;" in text:
            names = [text]  # an escaped sign, not the end of a name
        if len(names) == 1 and (other := OTHER_SEPARATORS.search(names[0])):
            reason = f"{show_value(text)} may be a path: then give category_separator={other[0]}"
            self.notes.guess("category_separator", ">", reason)
        return names


def read_tags(cell: Cell) -> list[str] | None:
    """Each tag once. The cell is a list, as JSON in a text, or a comma-separated text."""
    listed = read_json(cell) if isinstance(cell, list) or str(cell).lstrip().startswith("[") else None
    tags = listed if isinstance(listed, list) else read_text(cell).split(",")
    return list(dict.fromkeys(NAME.read(tag) for tag in tags if not is_blank(tag))) or None


# Several addresses in one cell. A comma may also stand inside an address, so it parts them only before another one.
BETWEEN_URLS = re.compile(r"\s*[,;|]\s*(?=https?://|/)|\s+(?=https?://)")
BETWEEN_NAMES = re.compile(r"\s*[,;|\n]\s*(?=[^,;|\s]+\.(?:jpe?g|png|gif|webp|avif|svg)\b)", re.IGNORECASE)


def split_addresses(text: str) -> list[str]:
    between = BETWEEN_URLS if "://" in text else BETWEEN_NAMES
    return [part for part in between.split(text.strip()) if part.strip()]


def read_addresses(cell: Cell) -> list[str]:
    return [IMAGE.read(part) for part in split_addresses(cell)] if isinstance(cell, str) else [IMAGE.read(cell)]


def read_images(cell: Cell) -> list[Any]:
    """A JSON list, or addresses with commas, semicolons, | or blanks between them."""
    value = read_json(cell)
    return PARTS.read(split_addresses(value) if isinstance(value, str) else value)


def read_parts(cell: Cell) -> list[Any]:
    return PARTS.read(read_json(cell))


def read_attributes(cell: Cell) -> dict[str, Any]:
    value = ATTRIBUTES.read(read_json(cell))
    check_json(value)
    return value


def read_options(cell: Cell) -> dict[str, str]:
    value = OPTIONS.read(read_json(cell))
    check_json(value)
    return value


def parse_json(cell: Cell) -> Any:
    """The JSON value of a cell. A CSV's cell is text: it is parsed, and stays text if it isn't JSON."""
    try:
        return json.loads(cell) if isinstance(cell, str) else cell
    except (ValueError, RecursionError):
        return cell


def read_json(cell: Cell) -> Any:
    """`parse_json`, but an object with two members of one name raises BadValue."""
    try:
        return DECODER.decode(cell) if isinstance(cell, str) else cell
    except RepeatedMember as error:
        raise BadValue("invalid", f"isn't clear: {error.msg}", "keep one of them") from None
    except (ValueError, RecursionError):
        return cell


def check_json(value: dict[str, Any]) -> None:
    """Checks characters, numbers and size. (For bodies the parser has done so.) Raises BadValue."""
    for item in walk_json(value):
        if isinstance(item, str):
            refuse_odd_characters(item)
        elif isinstance(item, float) and math.isnan(item):
            raise BadValue("invalid", "holds NaN, which is no number", "remove it, or write null")
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


def make_fields(options: Options, notes: Notes, *, has_dots: bool = False, unit: str = "") -> dict[str, Field]:
    """How each field's cells are read in one file.

    `has_dots`: a shop's files have decimal points, so weights of three places are clear. `unit`: of its weights.
    """
    decimal = options.decimal
    weights = Weights(decimal or ("." if has_dots else ""), options.weight_unit or unit, notes)
    paths = Paths(options.category_separator, notes)
    price = Field(lambda cell: PRICE.read(write_number(drop_currency(cell), decimal)))
    return {
        "sku": Field(lambda cell: SKU.read(note_apostrophe(refuse_cut(cell), "sku", notes))),
        "slug": Field(SLUG.read),
        "title": Field(lambda cell: TITLE.read(note_nothing(cell, "title", notes))),
        "brand": Field(lambda cell: BrandName(NAME.read(note_nothing(cell, "brand", notes))), blank=None),
        "brand_slug": Field(Slug(SLUG_MOST["brand"]).read, blank=""),
        "category": Field(lambda cell: paths.read(note_nothing(cell, "category", notes)), blank=None),
        "category_slug": Field(Slug(SLUG_MOST["category"]).read, blank=""),
        "status": Field(read_status),
        "currency": Field(read_currency),
        "price": price,
        "compare_at_price": Field(price.read, blank=None),
        # Rounds to two decimal places: a mean of many ratings has more. It is at most 5, so its dot is clear.
        "rating": Field(lambda cell: RATING.check(round_half_up(RATING.parse(write_number(cell, decimal or "."))))),
        "description": Field(DESCRIPTION.read, blank=""),
        "seo_title": Field(SEO_TITLE.read, blank=""),
        "seo_description": Field(SEO_DESCRIPTION.read, blank=""),
        "tags": Field(read_tags, blank=None),
        "attributes": Field(read_attributes),
        "image": Field(read_addresses),
        "image_url": Field(IMAGE.read),
        "images": Field(read_images),
        "barcode": Field(lambda cell: BARCODE.read(note_apostrophe(refuse_cut(cell), "barcode", notes)), blank=""),
        "weight": Field(weights.read),
        "options": Field(read_options),
        "stock": Field(lambda cell: COUNT.read(write_number(cell, decimal))),
        "location": Field(LOCATION.read),
        "variants": Field(read_parts),
        "alt": Field(ALT.read, blank=""),
        "position": Field(COUNT.read),
    }


def note_apostrophe(cell: Cell, name: str, notes: Notes) -> Cell:
    """The code as it is: the apostrophe may be its own, or the mark of a text that a spreadsheet shows to nobody."""
    if isinstance(cell, str) and cell.lstrip()[:1] == "'":
        notes.guess(name, cell.strip()[:60], "the apostrophe is read as part of the code: remove it if it isn't", name)
    return cell


def note_nothing(cell: Cell, name: str, notes: Notes) -> Cell:
    """The name as it is, since a brand may be called Null. A formula's error is refused."""
    if is_nothing(cell):
        notes.guess(name, str(cell).strip(), "it is read as a name: leave the cell blank if it stands for none", name)
    return refuse_failed(cell)


# The names of fields that a file of ours may have as columns.
FIELDS = (
    "sku", "slug", "title", "brand", "category", "status", "currency", "price", "compare_at_price", "rating",
    "description", "seo_title", "seo_description", "tags", "attributes", "image", "images", "barcode", "weight",
    "options", "stock", "location", "variants", "brand_slug", "category_slug",
)  # fmt: skip
