"""A given value in, the value of its column out; or BadValue with a code and a sentence.

All front ends use these rules: bodies through DRF fields (fields.py), files through catalog/imports/values.py. People
and spreadsheets write files, so those first round ratings and weights, drop zeros after the cents and lower the letters
of a status. Then the same rule applies.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

from catalog.media.addresses import shorten
from catalog.models import Product
from catalog.writes.texts import compose, describe_unseen, find_unseen
from config.api.writes.currencies import CURRENCIES

# A value of JSON, or the text of a CSV's cell.
type Given = Any


class BadValue(Exception):
    """The rule that a value breaks and the remedy, a clause each. `code` is for programs and is one of DRF's."""

    def __init__(self, code: str, rule: str, remedy: str) -> None:
        super().__init__(f"{rule}; {remedy}")
        self.code = code
        self.rule, self.remedy = rule, remedy

    def tell(self, given: Given) -> str:
        """The sentence, without a full stop: `'-1' is below 0; give 0 or more`."""
        return f"{show_value(given)} {self}"


class BadMembers(Exception):
    """Errors inside an object: by member, the given value and its BadValue."""

    def __init__(self, members: Mapping[str, tuple[Given, BadValue]]) -> None:
        super().__init__(", ".join(members))
        self.members = members


# The most characters of a value in a message. A longer text is cut; a longer list or object is only named.
MOST_SHOWN = 60
KINDS: dict[type[Any], str] = {list: "This list", dict: "This object"}


def show_value(given: Given) -> str:
    """The value for a message: short, and without control characters, which could move a terminal's cursor."""
    text = given.strip() if isinstance(given, str) else json.dumps(given, default=str)
    if len(text) > MOST_SHOWN and type(given) in KINDS:
        return KINDS[type(given)]
    text = text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"
    return f"'{''.join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)}'"


class Rule:
    """A rule for values. It never changes, so a copy is the rule itself: DRF copies all fields at each request."""

    def __deepcopy__(self, memo: Any) -> Self:
        return self


# -- texts ---------------------------------------------------------------------------------------------------------


def read_text(given: Given) -> str:
    """The text without surrounding blanks, composed. Raises BadValue for lists, objects, NUL and surrogates."""
    if given is None:
        raise BadValue("null", "is not a text", "give a text or a number")
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise BadValue("invalid", f"is {name_type(given)}", "give a text or a number")
    text = given.strip() if isinstance(given, str) else repr(given)
    refuse_odd_characters(text)
    return compose(text)


def name_type(given: Given) -> str:
    names = {bool: "true or false", list: "a list", dict: "an object", datetime: "a date", date: "a date"}
    return names.get(type(given), "not a text")


def refuse_odd_characters(text: str) -> None:
    if "\0" in text:
        raise BadValue("null_characters_not_allowed", "holds a NUL character", "remove it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        # catalog/imports/readers.py reads an undecodable byte 0xE9 as U+DCE9. Other surrogates come from \u escapes.
        what = f"the byte 0x{code - 0xDC00:02X}" if 0xDC80 <= code <= 0xDCFF else f"the half character U+{code:04X}"
        rule = f"holds {what} as its character {error.start + 1}, which isn't UTF-8"
        raise BadValue("surrogate_characters_not_allowed", rule, "save the file as UTF-8") from None


@dataclass(frozen=True)
class Text(Rule):
    """A text of at most `most` characters. `needed` is the remedy for a blank text; if empty, it may be blank."""

    most: int
    needed: str = ""

    def read(self, given: Given) -> str:
        text = read_text(given)
        if self.needed and not text:
            raise BadValue("blank", "is blank", self.needed)
        if len(text) > self.most:
            raise BadValue("max_length", f"has {len(text):,} characters", f"shorten it to {self.most:,}")
        return text


class Line(Text):
    """A text of one line, in which every character can be seen."""

    may_join = True

    def read(self, given: Given) -> str:
        text = super().read(given)
        if (place := find_unseen(text, self.may_join)) is not None:
            raise BadValue("unseen_characters_not_allowed", describe_unseen(text, place), "remove it")
        return text


class Key(Line):
    """A text by which rows are found: two that look the same are the same."""

    may_join = False


class AddressedKey(Key):
    """A key that stands in addresses. Clients take `.` and `..` there for steps, and so never reach the row."""

    def read(self, given: Given) -> str:
        text = super().read(given)
        if text in (".", ".."):
            raise BadValue("invalid", "is a step in an address", "add a letter or a digit")
        return text


class Location(AddressedKey):
    """The short code of a place, without case: `Main` is `main`."""

    def read(self, given: Given) -> str:
        return super().read(given).lower()


class Slug(Key):
    def read(self, given: Given) -> str:
        slug = super().read(given)
        if not re.fullmatch(r"[-\w]+", slug):
            raise BadValue("invalid", "is not a slug", "use letters, digits, hyphens and underscores only")
        return slug


@dataclass(frozen=True)
class Currency(Rule):
    pattern = r"\A[A-Z]{3}\Z"

    def read(self, given: Given) -> str:
        text = read_text(given)
        if not text:
            raise BadValue("blank", "is blank", "give a currency")
        if text not in CURRENCIES:
            raise BadValue("invalid", "is not a currency", "write the three capital letters of ISO 4217, as in USD")
        return text


# Other schemes are errors: a link to javascript: would run foreign code on our pages.
SCHEMES = ("http", "https")
# A path of ours begins with one slash. Browsers take a backslash for a slash, and two begin another host's name.
OWN_PATH = re.compile(r"/(?![/\\])")
# Suppliers' files name pictures without a folder. Without a colon it has no scheme, without a backslash no host.
FILE_NAME = re.compile(r"[^/\\:\s][^\\:\s]*\Z")
# PostgreSQL limits an index entry to 2,704 bytes, and images are unique by product and URL.
MOST_URL_BYTES = 2_000
is_url = URLValidator(schemes=SCHEMES)


class Address(Key):
    """The address of an image: a URL, a path of this server, or a file's name. A picture of ours is a path again."""

    def read(self, given: Given) -> str:
        # First, since a name of ours may be one without a dot.
        url = shorten(super().read(given))
        if (size := len(url.encode())) > MOST_URL_BYTES:
            raise BadValue("max_length", f"has {size:,} bytes", f"shorten it to {MOST_URL_BYTES:,}")
        scheme = re.match(r"([a-zA-Z][\w+.-]*):", url)
        if scheme and scheme[1].lower() not in SCHEMES:
            raise BadValue("invalid", f"begins with {scheme[1]}:", "give an address that begins with https://")
        if not (OWN_PATH.match(url) or FILE_NAME.match(url) or is_full(url)):
            remedy = "give one that begins with https://, or a path of this server that begins with one /"
            raise BadValue("invalid", "is not a full address", remedy)
        return url


# What most addresses are. `is_url` takes each of them, in ten times the time.
PLAIN_URL = re.compile(r"https?://(?=[^/]{1,253}/)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}/[!-~]*", re.ASCII)


def is_full(url: str) -> bool:
    if PLAIN_URL.fullmatch(url):
        return True
    try:
        is_url(url)
    except ValidationError:
        return False
    return True


@dataclass(frozen=True)
class Choice(Rule):
    choices: tuple[str, ...]

    def read(self, given: Given) -> str:
        if given not in self.choices:
            raise BadValue("invalid_choice", f"is not one of {', '.join(self.choices)}", "give one of these")
        return str(given)


@dataclass(frozen=True)
class Flag(Rule):
    def read(self, given: Given) -> bool:
        if given not in (True, False) or not isinstance(given, bool):
            raise BadValue("invalid", "is neither true nor false", "give one of these")
        return given


# -- numbers -------------------------------------------------------------------------------------------------------

# Decimal and int would also accept "1_0" and the digits of other scripts.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
# The most characters of a number: parsing takes quadratic time.
MOST_NUMBER = 1_000
CENT = Decimal("0.01")
# The largest `integer` of PostgreSQL.
MOST_INTEGER = 2**31 - 1


def read_number(given: Given, remedy: str) -> Decimal:
    text = read_text(given)
    if len(text) > MOST_NUMBER:
        raise BadValue("max_string_length", f"has more than {MOST_NUMBER:,} characters", remedy)
    if not NUMBER.fullmatch(text):
        raise BadValue("invalid", "is not a number", remedy)
    return Decimal(text)


@dataclass(frozen=True)
class Number(Rule):
    """A decimal from 0 to `most`, with at most `digits` digits, two of them after the decimal point."""

    digits: int
    remedy: str
    most: int | None = None

    def read(self, given: Given) -> Decimal:
        return self.check(self.parse(given))

    def parse(self, given: Given) -> Decimal:
        return read_number(given, self.remedy)

    def check(self, number: Decimal) -> Decimal:
        number = drop_zeros(number)
        self.check_digits(number)
        if number < 0:
            raise BadValue("min_value", "is below 0", "give 0 or more")
        if self.most is not None and number > self.most:
            raise BadValue("max_value", f"is above {self.most}", f"give 0 to {self.most}")
        return number.quantize(CENT)

    def check_digits(self, number: Decimal) -> None:
        """Checks in DRF's order: it decides the code if a number is too long in several ways."""
        before, places = count_digits(number)
        whole = self.digits - 2
        greatest = "9" * whole + ".99" if self.most is None else str(self.most)
        if places + before > self.digits:
            raise BadValue("max_digits", f"has more than {self.digits} digits", f"give at most {greatest}")
        if places > 2:
            raise BadValue("max_decimal_places", "has more than two decimal places", "round it, as in 12.50")
        if before > whole:
            rule = f"has more than {whole} digit{'s' * (whole > 1)} before the decimal point"
            raise BadValue("max_whole_digits", rule, f"give at most {greatest}")


def drop_zeros(number: Decimal) -> Decimal:
    """Without the zeros behind the cent, which a program or a spreadsheet may add: `1.00000` is `1.00`."""
    sign, digits, exponent = number.as_tuple()
    if not number or not isinstance(exponent, int):
        return Decimal(0)
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    cut = max(0, min(zeros, -2 - exponent))
    return Decimal((sign, digits[: len(digits) - cut], exponent + cut))


def count_digits(number: Decimal) -> tuple[int, int]:
    """The digits before and after the decimal point."""
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # NUMBER takes neither NaN nor infinity
    return max(0, len(digits) + exponent), max(0, -exponent)


@dataclass(frozen=True)
class Whole(Rule):
    """A whole number from `least` to `most`; None means no upper limit."""

    least: int = 0
    most: int | None = MOST_INTEGER
    remedy = "write digits only, as in 12"

    def read(self, given: Given) -> int:
        return self.check(self.parse(given))

    def parse(self, given: Given) -> Decimal:
        return read_number(given, self.remedy)

    def check(self, number: Decimal) -> int:
        if number != number.to_integral_value():
            raise BadValue("invalid", "is not a whole number", self.remedy)
        if number < self.least:
            raise BadValue("min_value", f"is below {self.least}", f"give {self.least} or more")
        if self.most is not None and number > self.most:
            raise BadValue("max_value", f"is above {self.most:,}", "give a smaller number")
        return int(number)


# -- JSON ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Object(Rule):
    """A JSON object with any values."""

    def read(self, given: Given) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise BadValue("not_a_dict", "is not a JSON object", 'write it as in {"colour": "red"}')
        return given


@dataclass(frozen=True)
class Members(Object):
    """A JSON object by whose names and texts rows are found: they are composed."""

    def read(self, given: Given) -> dict[str, Any]:
        members = {compose(name): compose_texts(value) for name, value in super().read(given).items()}
        return refuse_twins(members, given)


def compose_texts(value: Any) -> Any:
    """A value of JSON with all texts in it composed; the names inside stay."""
    match value:
        case str():
            return compose(value)
        case list():
            return [compose_texts(each) for each in value]
        case dict():
            return {name: compose_texts(each) for name, each in value.items()}
    return value


def refuse_twins[Value](members: dict[str, Value], given: Mapping[str, Any]) -> dict[str, Value]:
    """`members`, composed. Raises BadValue if `given` has names that look the same."""
    if len(members) < len(given):
        raise BadValue("invalid", "has two names that look the same", "keep one of them")
    return members


@dataclass(frozen=True)
class Texts(Object):
    """A JSON object of texts. Raises BadMembers with all bad ones."""

    value: Text

    def read(self, given: Given) -> dict[str, str]:
        texts, bad = {}, {}
        for name, value in super().read(given).items():
            try:
                texts[self.value.read(name)] = self.value.read(value)
            except BadValue as error:
                bad[name] = (value, error)
        if bad:
            raise BadMembers(bad)
        return refuse_twins(texts, given)


@dataclass(frozen=True)
class List(Rule):
    most: int

    def read(self, given: Given) -> list[Any]:
        if not isinstance(given, list):
            raise BadValue("not_a_list", "is not a JSON list", "write its entries in square brackets")
        if len(given) > self.most:
            raise BadValue("max_length", f"has {len(given):,} entries", f"give at most {self.most:,}")
        return given


# -- by member -----------------------------------------------------------------------------------------------------

DIGITS_ONLY = "write digits and at most one dot, without currency sign or thousands separator, as in 1299.50"
# PostgreSQL limits a search document to 1 MiB; so many characters are less in every alphabet.
MOST_TEXT = 100_000

ID = Whole(least=1, most=None)
# The lengths of those columns.
BRAND_SLUG = Key(220, needed="give a brand's slug, or null")
CATEGORY_SLUG = Key(500, needed="give a category's slug, or null")
SKU = AddressedKey(100, needed="give a SKU")
SLUG = Slug(255, needed="give a slug, or leave it out")
TITLE = Line(500, needed="give a title")
STATUS = Choice(tuple(Product.Status.values))
CURRENCY = Currency()
PRICE = Number(12, DIGITS_ONLY)
RATING = Number(3, "write digits and a dot, as in 4.5", most=5)
ATTRIBUTES = Members()
DESCRIPTION = Text(MOST_TEXT)
SEO_TITLE = Line(500)
SEO_DESCRIPTION = Text(MOST_TEXT)
NAME = Line(200, needed="give a name")
OWN_BRAND_SLUG = Slug(220, needed="give a slug, or leave it out")
OWN_CATEGORY_SLUG = Slug(500, needed="give a slug, or leave it out")
ATTRIBUTE = Slug(60, needed="give a name")
BARCODE = Key(50)
OPTION = Line(255)
OPTIONS = Texts(OPTION)
FLAG = Flag()
# Grams, pieces, positions in a list.
COUNT = Whole()
DELTA = Whole(least=-MOST_INTEGER)
REASON = Line(200)
IMAGE = Address(1000, needed="give the image's address")
ALT = Text(500)
LOCATION_NAME = Line(200)
LOCATION = Location(32, needed="give a location")
