"""How files write numbers: a cell in, a number that the rules of catalog/writes/values.py take out, or BadValue.

The decimal sign of a file, thousands, units of weight, and what spreadsheets do to long codes.
"""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from catalog.imports.records import Notes
from catalog.writes.values import CENT, COUNT, NUMBER, BadValue, count_digits, read_text

type Cell = Any

# Only smaller numbers are rounded; larger ones are out of range anyway.
MOST_ROUNDED = 10**12
# A dot before three digits is a decimal point, or parts thousands as Germans write them. `0.500` and `1234.500` can't
# be thousands.
AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}", re.ASCII)
# Groups of three digits. A blank, or the sign that isn't the decimal one, separates two groups.
GROUPED = {
    ".": re.compile(r"([+-]?\d{1,3}(?:[,' \u00a0\u202f\u2019]\d{3})+)(\.\d+)?", re.ASCII),
    ",": re.compile(r"([+-]?\d{1,3}(?:[.' \u00a0\u202f\u2019]\d{3})+)(,\d+)?", re.ASCII),
}
WITH_COMMA = re.compile(r"[+-]?\d*(,\d+)?", re.ASCII)
# A comma before decimal places, or between thousands.
HAS_COMMA = re.compile(r"[+-]?\d[\d.' \u00a0\u202f\u2019]*,[\d,.]*\d", re.ASCII)
# What a spreadsheet saves for a formula that fails, in its language: #N/A, #NV, #REF!, #BEZUG!, #¿NOMBRE?, #DIV/0!. And
# what it saves for a column that is too narrow to be shown.
FORMULA_ERROR = re.compile(r"#(?:[\u00a1\u00bf]?[A-Z]+(?:/0)?[!?]|N/[A-Z]{1,2}|NV|#+)")
# A spreadsheet shows 1230000000000 so, and saves what it shows.
CUT = re.compile(r"\d(?:[.,]\d+)?E\+\d+", re.IGNORECASE | re.ASCII)
# What people and programs write into a cell that has no value.
NOTHING = frozenset({"n/a", "null", "-", "--", "\u2013", "\u2014"})
GRAMS = {
    "g": Decimal(1),
    "kg": Decimal(1000),
    "mg": Decimal("0.001"),
    "lb": Decimal("453.59237"),
    "oz": Decimal("28.349523125"),
}
UNIT_WORDS = {
    **dict.fromkeys(("g", "gr", "gram", "grams", "gramm", "grammes"), "g"),
    **dict.fromkeys(("kg", "kgs", "kilo", "kilos", "kilogram", "kilograms", "kilogramm"), "kg"),
    **dict.fromkeys(("lb", "lbs", "pound", "pounds"), "lb"),
    **dict.fromkeys(("oz", "ounce", "ounces"), "oz"),
    "mg": "mg",
}
WEIGHED = re.compile(r"(.*?\d)\s*([a-z]+)\.?", re.IGNORECASE | re.DOTALL)


def write_number(cell: Cell, decimal: str) -> Cell:
    """A text in the file's way to write numbers, with a dot as the only sign. Numbers of JSON stay as they are."""
    if not isinstance(cell, str):
        return cell
    refuse_nothing(cell)
    text = cell.strip()
    if CUT.fullmatch(text):
        rule = "is a number that a spreadsheet has rounded"
        raise BadValue("invalid", rule, "show all of its digits there, and save again")
    if not decimal:
        refuse_ambiguous(text)
        return text
    if grouped := GROUPED[decimal].fullmatch(text):
        return re.sub(r"[^\d+-]", "", grouped[1]) + (grouped[2] or "").replace(",", ".")
    if decimal == ",":
        if not WITH_COMMA.fullmatch(text):
            raise BadValue("invalid", "is not a number whose decimal sign is a comma", "write it as in 1.299,50")
        return text.replace(",", ".")
    if HAS_COMMA.fullmatch(text):
        remedy = f"write it as in 1299.50, or {NAME_SIGN}"
        raise BadValue("invalid", "has a comma, though the decimal sign is a dot", remedy)
    return text


def refuse_ambiguous(text: str) -> None:
    if AMBIGUOUS.fullmatch(text):
        rule = "may be a whole number with a dot between thousands, or have three decimal places"
        raise BadValue("ambiguous", rule, NAME_SIGN)
    if HAS_COMMA.fullmatch(text):
        raise BadValue("ambiguous", "has a comma, between thousands or before decimal places", NAME_SIGN)


NAME_SIGN = "name the decimal sign by the option decimal, as . or ,"


def round_half_up(number: Decimal, place: Decimal = CENT) -> Decimal:
    """Rounds `number` to the decimal places of `place`, if it has more."""
    is_short = count_digits(number)[1] <= count_digits(place)[1]
    return number if is_short or abs(number) >= MOST_ROUNDED else number.quantize(place, ROUND_HALF_UP)


def read_oversold(cell: Cell) -> int:
    """A shop's quantity. It is below zero if more was sold than was there; that becomes 0 pieces on hand."""
    text = read_text(cell)
    return COUNT.read(0 if text.startswith("-") and NUMBER.fullmatch(text) else text)


def refuse_failed(cell: Cell) -> Cell:
    """Refuses the error of a formula (#REF!): a brand would get this name."""
    if isinstance(cell, str) and FORMULA_ERROR.fullmatch(cell.strip()):
        rule = "is the error of a formula, or of a column that was too narrow"
        raise BadValue("invalid", rule, "correct it, or enter the value")
    return cell


def is_nothing(cell: Cell) -> bool:
    """Whether the cell has what stands for no value, such as N/A."""
    return isinstance(cell, str) and cell.strip().lower() in NOTHING


def refuse_nothing(cell: Cell) -> Cell:
    """Refuses what stands for no value, and the error of a formula."""
    if is_nothing(cell):
        raise BadValue("invalid", "stands for no value", "enter one, or leave the cell blank")
    return refuse_failed(cell)


def refuse_cut(cell: Cell) -> Cell:
    """Refuses a code that a spreadsheet has rounded (1.23E+12), and what is no code."""
    refuse_nothing(cell)
    if isinstance(cell, str) and CUT.fullmatch(cell.strip()):
        rule = "is a code that a spreadsheet has rounded"
        raise BadValue("invalid", rule, "format the column as text, enter the code again, and save")
    if isinstance(cell, float):
        raise BadValue("invalid", "is a number with a dot", "give the code as a text")
    return cell


def find_unit(column: str) -> str:
    """The unit that a column's name has at its end or in brackets: `Weight (kg)`, `weight_lbs`, `Grams`."""
    words = re.findall(r"[a-z]+", column.lower())
    return UNIT_WORDS.get(words[-1], "") if words else ""


@dataclass(frozen=True, slots=True)
class Weights:
    """Reads weights, to grams. A unit beside the number comes first, then the column's, then the option's.

    A unit is asked for if a weight without one has decimal places: it may be grams or kilograms. `must_ask` always
    asks: such files have the unit of their shop.
    """

    decimal: str
    unit: str
    notes: Notes
    must_ask: bool = False

    def read(self, cell: Cell) -> int:
        number, unit = self.part(cell)
        if not unit:
            return self.guess_grams(number)
        return COUNT.check(round_half_up(number * GRAMS[unit], Decimal(1)))

    def part(self, cell: Cell) -> tuple[Decimal, str]:
        """The number and its unit, or the column's or the option's."""
        found = WEIGHED.fullmatch(cell.strip()) if isinstance(cell, str) else None
        if found and not CUT.fullmatch(cell.strip()):
            if found[2].lower() not in UNIT_WORDS:
                raise BadValue("invalid", f"has the unknown unit {found[2][:20]!r}", "give it in g, kg, lb or oz")
            return COUNT.parse(write_number(found[1], self.decimal)), UNIT_WORDS[found[2].lower()]
        return COUNT.parse(write_number(cell, self.decimal)), self.unit

    def guess_grams(self, number: Decimal) -> int:
        if number and (self.must_ask or number != number.to_integral_value()):
            rule = "has no unit" if self.must_ask else "has no unit and isn't a whole number of grams"
            raise BadValue("invalid", rule, "name the unit by the option weight_unit, as g, kg, lb or oz")
        if number:
            self.notes.guess("weight_unit", "g", "neither the option nor the column's name has a unit")
        return COUNT.check(number)
