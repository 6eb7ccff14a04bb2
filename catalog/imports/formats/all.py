"""All formats, in the order in which they are asked whether a file is theirs; the plain one takes what is left."""

from collections.abc import Iterable
from dataclasses import replace

from catalog.imports.errors import REASON, BadFile
from catalog.imports.formats.base import Format
from catalog.imports.formats.bigcommerce import BigCommerce
from catalog.imports.formats.etsy import Etsy
from catalog.imports.formats.google import Google
from catalog.imports.formats.magento import Magento
from catalog.imports.formats.mapping import SYNONYMS, normalise
from catalog.imports.formats.matrixify import Matrixify
from catalog.imports.formats.medusa import Medusa
from catalog.imports.formats.plain import Plain
from catalog.imports.formats.prestashop import PrestaShop
from catalog.imports.formats.shopify import Shopify
from catalog.imports.formats.shopify_json import ShopifyJson
from catalog.imports.formats.spree import Spree
from catalog.imports.formats.square import Square
from catalog.imports.formats.stock import OwnStock, ShopifyInventory
from catalog.imports.formats.tenfold import Tenfold
from catalog.imports.formats.variants import OwnVariants
from catalog.imports.formats.woocommerce import WooCommerce
from catalog.imports.options import Options
from catalog.imports.records import Source
from catalog.imports.tables import tidy
from catalog.imports.values import FIELDS

# Formats whose columns are fixed: of shops, and of our own export of the catalogue.
SHOPS: tuple[type[Format], ...] = (
    ShopifyInventory, Matrixify, Shopify, ShopifyJson, WooCommerce, Square, BigCommerce, Etsy, Medusa, PrestaShop,
    Spree, Magento, Google, Tenfold,
)  # fmt: skip
OWN: tuple[type[Format], ...] = (OwnStock, OwnVariants, Plain)
# Kinds of files with our own columns. (A workbook or a list may also be of a shop.)
KINDS = {"csv": "CSV", "ndjson": "NDJSON", "json": "JSON", "xlsx": "Excel workbook", "parquet": "Parquet"}
# The names that the option `format` takes, with labels for people.
FORMATS = {"shopify": Shopify.label} | {shop.name: shop.label for shop in SHOPS if shop.name != "shopify"} | KINDS
TABLES = ("csv", "xlsx", "parquet")
# Of tables: an exact file is never one.
KNOWN = frozenset(name for shop in (*SHOPS, *OWN) if not shop.is_exact for name in shop.spellings())


def is_known_column(cell: str) -> bool:
    """Whether some format has a column of this name."""
    name = tidy(cell)
    return name.lower() in KNOWN or normalise(name) in FIELDS or normalise(name) in SYNONYMS


def choose_format(source: Source, options: Options) -> Format:
    """The format of the file: the one that `options` names, else the first that recognises the columns."""
    columns = frozenset(source.columns)
    wanted = options.format
    if wanted in KINDS and wanted != source.kind:
        raise BadFile(f"{source.name} is {KINDS.get(source.kind, source.kind)}, not {KINDS[wanted]}: leave format out")
    candidates = OWN if wanted in KINDS else [shop for shop in (*SHOPS, *OWN) if wanted in ("", shop.name)]
    found = next((shop for shop in candidates if shop.recognises(columns, source.kind)), None)
    if found in (None, Plain) and (other := find_respelt(source, candidates)):
        found = respell(source, other)
    if found is None:
        labels = " or ".join(shop.label for shop in candidates)
        raise BadFile(f"{source.name} hasn't the columns of {labels}: leave format out, or use format {source.kind}")
    chosen = found(source, options)
    if options.missing == "archive":
        refuse_partial(chosen)
    return chosen


def find_respelt(source: Source, candidates: Iterable[type[Format]]) -> type[Format] | None:
    """The shop whose columns these are, but for capitals or the language. It reads more of them than a plain file."""
    plain = sum(normalise(column) in FIELDS or normalise(column) in SYNONYMS for column in source.columns)
    for shop in candidates if source.kind in TABLES else ():
        names = [shop.spellings().get(column.lower(), column) for column in source.columns]
        if len({*names} & shop.known) > plain and shop.recognises(frozenset(names), source.kind):
            return shop if len({*names}) == len(names) else None
    return None


def respell(source: Source, shop: type[Format]) -> type[Format]:
    """Give the columns the names that the shop's format has; the report says which were others."""
    names = {column: shop.spellings().get(column.lower(), column) for column in source.columns}
    for column, name in names.items():
        if column.lower() != name.lower():
            source.notes.guess("columns", f"{name}={column}", f"{shop.label} has this column by another name", column)
    source.columns = dict.fromkeys(names.values())
    source.records = (
        replace(record, cells={names[column]: cell for column, cell in record.cells.items()})
        for record in source.records
    )
    return shop


def refuse_partial(chosen: Format) -> None:
    """Raises BadFile for a file that doesn't name all products: the others would be archived."""
    name, advice = chosen.source.name, "which doesn't name all products: leave it out"
    if not chosen.names_products:
        raise BadFile(f"missing=archive: {name} is {chosen.label}, {advice}")
    if REASON in chosen.source.columns:
        raise BadFile(f"missing=archive: {name} has the refused rows of another file (column {REASON}), {advice}")


def name_format(source: Source, chosen: Format) -> str:
    """The format's name in reports: of the shop, else the kind of the file."""
    return source.kind if isinstance(chosen, OWN) and not isinstance(chosen, SHOPS) else chosen.name
