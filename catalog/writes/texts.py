"""Texts that people write: they are stored in the composed form (NFC), without characters that nobody can see.

`é` may be one character or two. Both look the same, so both must be the same key. The composed form is stored. Look-ups
find rows by either form, since older releases stored texts as they came.
"""

from collections.abc import Callable, Iterable
from typing import Any
from unicodedata import category, normalize

from rest_framework.exceptions import ValidationError
from rest_framework.serializers import CharField

# Unicode's categories: controls (with line breaks and tabs), formats (zero width, directions), and separators of lines
# and paragraphs.
UNSEEN_KINDS = ("Cc", "Cf", "Zl", "Zp")
# Letters and marks that have no visible shape: a joiner of graphemes, fillers of Hangul, vowels of Khmer, and so on.
UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0")
# Unseen characters that change the shape of the one before, in Arabic and Indic scripts and in emoji.
JOINERS = ("\u200c", "\u200d")
FIRST_VARIANT, LAST_VARIANT = "\ufe00", "\ufe0f"
# Joiners have no effect on the characters before this one, which are Latin.
FIRST_JOINED = "\u0300"
KEYCAP = "\u20e3"


def compose(text: str) -> str:
    return text if text.isascii() else normalize("NFC", text)


def list_forms(texts: Iterable[str]) -> set[str]:
    """The texts as given, and their composed and decomposed forms."""
    return {form for text in texts for form in (text, *([] if text.isascii() else both_forms(text)))}


def both_forms(text: str) -> tuple[str, str]:
    return normalize("NFC", text), normalize("NFD", text)


def index_composed[Row](rows: Iterable[Row], read: Callable[[Row], str]) -> dict[str, Row]:
    """The rows by their composed texts. If two texts look the same, the row with the composed text is used."""
    listed = [(read(row), row) for row in rows]
    found = {compose(text): row for text, row in listed}
    return found | {text: row for text, row in listed if text in found}


def find_unseen(text: str, may_join: bool = False) -> int | None:
    """The place of the first character that can't be seen. `may_join` allows joiners where they change a shape."""
    if text.isascii() and text.isprintable():
        return None
    for place, sign in enumerate(text):
        if is_unseen(sign) and not (may_join and is_shaping(text, place)):
            return place
    return None


def is_unseen(sign: str) -> bool:
    return category(sign) in UNSEEN_KINDS or sign in UNSEEN or FIRST_VARIANT <= sign <= LAST_VARIANT


def is_shaping(text: str, place: int) -> bool:
    is_joiner = text[place] in JOINERS or FIRST_VARIANT <= text[place] <= LAST_VARIANT
    is_keycap = text[place + 1 : place + 2] == KEYCAP
    return is_joiner and place > 0 and (text[place - 1] >= FIRST_JOINED or is_keycap)


def describe_unseen(text: str, place: int) -> str:
    return f"holds U+{ord(text[place]):04X} as its character {place + 1}, which can't be seen"


class LineField(CharField):
    """A text of one line, composed, in which every character can be seen."""

    def to_internal_value(self, data: Any) -> str:
        text = compose(super().to_internal_value(data))
        if (place := find_unseen(text, may_join=True)) is not None:
            raise ValidationError(f"It {describe_unseen(text, place)}; remove it.", "unseen_characters_not_allowed")
        return text
