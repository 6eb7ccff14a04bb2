"""The text of `map` and a file's columns in, the columns of each field out.

A column with the name of a field needs no entry in `map`. An unknown name raises BadFile with the most similar name.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from django.conf import settings

from catalog.imports.errors import BadFile
from catalog.imports.money import list_meant
from catalog.imports.numbers import find_unit
from catalog.imports.records import Source
from catalog.imports.tables import tidy
from catalog.imports.values import FIELDS

type Columns = dict[str, tuple[str, ...]]

# Column names of our own exports that differ from the field names.
ALIASES = {"image_url": "image", "on_hand": "stock"}
# Names that suppliers use. They are only taken if the field has no column of its own name, and the report says so.
SYNONYMS = {
    "name": "title",
    "product_name": "title",
    "qty": "stock",
    "quantity": "stock",
    "ean": "barcode",
    "gtin": "barcode",
    "upc": "barcode",
    "vendor": "brand",
    "manufacturer": "brand",
}
# A longer name is no misspelling of ours. Comparing takes time by the square of the length.
LONGEST_NAME = 60
# What else a JSON without SKUs needs: there the products may be in a member of a member.
LISTS = '. Of products within other members send only their list, as in [{"sku": …}, …]'
# Of a column that isn't read a slip is named, and nothing vague: `Stok` is like stock, `Token` isn't.
SLIP = 0.75


# The currency behind the name of a price: `Price (EUR)`, `price_EUR`, `Price [€]`. Without brackets only in capitals:
# `price_all` isn't in the money of Albania.
PRICED = re.compile(
    r"(?i:(price|compare[\s_-]at[\s_-]price))[\s_-]*(?:[(\[]\s*((?i:[A-Z]{3})|[€£])\s*[)\]]|([A-Z]{3}|[€£]))"
)


def normalise(column: str) -> str:
    """`Compare at price` is `compare_at_price`, `Weight (kg)` is `weight`, and `Price (EUR)` is `price`."""
    if find_currency(column):
        column = PRICED.sub(r"\1", column)
    name = re.sub(r"[\s_-]+", "_", column.strip().lower())
    if name.startswith("weight") and find_unit(name):
        return "weight"
    return ALIASES.get(name, name)


def find_currency(column: str) -> str:
    """The currency that a price's name ends with, as ISO 4217 writes it; empty if it has none."""
    if not (found := PRICED.fullmatch(column.strip())):
        return ""
    return next(iter(list_meant(found[2] or found[3])), "")


def refuse_currency(source: Source, columns: Columns) -> None:
    """Raises BadFile if a price's column names another currency than the server's."""
    for column in (path[0] for field, path in columns.items() if field in ("price", "compare_at_price")):
        if (currency := find_currency(column)) not in ("", settings.CURRENCY):
            raise BadFile(
                f"{source.name} has prices in {currency}, by its column {column!r}, and this server's are in"
                f" {settings.CURRENCY}: convert the prices and rename the column, or set CURRENCY"
            )


def drop_brackets(column: str) -> str:
    """The name without what stands behind it in brackets: `Weigth (kg)` is a slip of weight."""
    return normalise(column.partition("(")[0])


def map_columns(source: Source, pairs: str) -> Columns:
    """The columns of each mapped field: one, or several for category. `pairs` is `field=column,…` or empty."""
    chosen = parse_pairs(pairs, source)
    columns = map_own_names(source, chosen) | chosen
    # A column that `map` uses, as in `image=url`, no longer maps by its own name.
    used = {column for path in chosen.values() for column in path}
    columns = {field: path for field, path in columns.items() if field in chosen or not used & set(path)}
    if "sku" not in columns:
        near = suggest("sku", source.columns) or next(iter(source.columns), "COLUMN")
        raise BadFile(
            f"{source.name} has no column sku, and products are found by it: name your column, as in map sku={near}."
            f" {list_columns(source)}{LISTS if source.kind in ('json', 'ndjson') else ''}"
        )
    refuse_currency(source, columns)
    return columns


def map_own_names(source: Source, chosen: Columns) -> Columns:
    """The columns with names of fields. Raises BadFile if two are of one field, and `chosen` names none of them."""
    own: Columns = {}
    notes, used = source.notes, {column for path in chosen.values() for column in path}
    names = {column: normalise(column) for column in source.columns}
    for column, name in names.items():
        if name in FIELDS:
            (first,) = own.setdefault(name, (column,))
            if first != column and name not in chosen and not used & {first, column}:
                raise BadFile(
                    f"{source.name} has two columns of {name}, {first!r} and {column!r}:"
                    f" rename one of them, or choose one, as in map {name}={column}"
                )
    for column, name in names.items():
        field = SYNONYMS.get(name)
        if field and field not in own:
            own[field] = (column,)
            notes.guess("map", f"{field}={column}", f"the column {column!r} has another name than our field", column)
    return own


def parse_pairs(pairs: str, source: Source) -> Columns:
    chosen: Columns = {}
    # A comma ends a pair only where the next one begins: "price=Price, net" is one column.
    for pair in filter(None, re.split(r",(?=\s*\w+=)", pairs)):
        field, sign, column = (part.strip() for part in pair.partition("="))
        if not (sign and column):
            raise BadFile(f"map: {pair!r} is not field=column, as in title=product")
        refuse_field(field, chosen)
        chosen[field] = split_column(field, column, source)
    return chosen


def refuse_field(field: str, chosen: Columns) -> None:
    if field in chosen:
        raise BadFile(f"map names {field} twice: keep one of them")
    if field not in FIELDS:
        near = suggest(field, FIELDS)
        hint = f"did you mean {near}? " if near else ""
        raise BadFile(f"map: {field!r} is not a field of a product: {hint}Its fields are {', '.join(FIELDS)}")


def split_column(field: str, column: str, source: Source) -> tuple[str, ...]:
    """The column, or the columns of a category's path. Raises BadFile if the file lacks one of them."""
    column = column if column in source.columns else tidy(column)
    if column in source.columns:
        return (column,)
    path = tuple(part.strip() for part in column.split("/")) if field == "category" else (column,)
    for part in path:
        if part not in source.columns:
            near = suggest(part, source.columns)
            hint = f" Did you mean {near}?" if near else ""
            raise BadFile(f"map {field}={column}: {source.name} has no column {part!r}.{hint} {list_columns(source)}")
    return path


def suggest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The most similar known name, without regard to case; None if none is at least so like it."""
    if len(name) > LONGEST_NAME:
        return None
    by_letters = {word.lower(): word for word in known if len(word) <= LONGEST_NAME}
    near = get_close_matches(name.lower(), by_letters, n=1, cutoff=likeness)
    return by_letters[near[0]] if near else None


def list_columns(source: Source) -> str:
    columns = ", ".join(column for column in source.columns if column)
    return f"Its columns are {columns}" if columns else "It has no columns at all; is the format right?"
