"""A price's cell in, its number without the currency beside it out: `$8.00`, `1.234,56 €`, `USD 12`, `12,-`.

The currency must be the server's, as that of a column must (mapping.py): else BadValue.
"""

import re

from django.conf import settings

from catalog.imports.numbers import Cell
from catalog.writes.values import BadValue
from config.api.writes.currencies import CURRENCIES

# The currencies that a sign may mean, in small letters. The first is named in errors.
SIGNS = {
    "€": ("EUR",), "£": ("GBP",), "$": ("USD", "AUD", "CAD", "HKD", "MXN", "NZD", "SGD"), "us$": ("USD",),
    "¥": ("JPY", "CNY"), "zł": ("PLN",), "kč": ("CZK",), "kr": ("SEK", "DKK", "NOK", "ISK"), "r$": ("BRL",),
    "fr.": ("CHF",), "sfr.": ("CHF",), "₹": ("INR",), "₺": ("TRY",), "₴": ("UAH",), "₽": ("RUB",),
}  # fmt: skip
# A number with a unit before or behind it, or with a dash for no cents.
AMOUNT = re.compile(
    r"([^\d\s+-]{0,5})[ \u00a0\u202f]*([+-]?\d(?:[\d.,' \u00a0\u202f\u2019]*\d)?)([.,][-\u2013\u2014]{1,2})?"
    r"[ \u00a0\u202f]*([^\d\s]{0,5})"
)
# No price is so long.
MOST = 60


def drop_currency(cell: Cell) -> Cell:
    """The cell without its currency; a cell that isn't such a price stays as it is, for the rule to refuse."""
    if not isinstance(cell, str) or (cell[:1].isdigit() and cell[-1:].isdigit()):
        return cell
    found = AMOUNT.fullmatch(cell.strip()) if len(cell) <= MOST else None
    if not found or (found[1] and found[4]):
        return cell
    unit = found[1] or found[4]
    meant = list_meant(unit)
    if unit and not meant:
        return cell
    if unit and settings.CURRENCY not in meant:
        rule = f"is in {meant[0]}, not in this server's {settings.CURRENCY}"
        raise BadValue("invalid", rule, "convert the prices, or set CURRENCY")
    return found[2]


def list_meant(unit: str) -> tuple[str, ...]:
    """The currencies that a sign or a code may mean; empty if it is neither."""
    code = unit.upper()
    return (code,) if code in CURRENCIES else SIGNS.get(unit.lower(), ())
