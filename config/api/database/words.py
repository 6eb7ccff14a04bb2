"""A text in, its words out: folded, in their order, and joined with their neighbours.

Searches split the texts of callers and of rows by it. PostgreSQL does the same in SQL (catalog/migrations/sql).
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple
from unicodedata import category

from config.api.database.folding import fold

# In the general categories of Unicode: letters, marks (vowels of Hindi), decimal digits.
KINDS = ("L", "M", "Nd")
SIGNS = {"+": "plus", "#": "sharp"}
PIECE = re.compile(r"([^ +#]+)([+#]{0,10})")
# The same of a text that is all ASCII, as most are: in half of the time.
PLAIN_PIECE = re.compile(r"([0-9A-Za-z]+)([+#]{0,10})")
# In letters. No search needs more, and PostgreSQL has no words of more than 2,046 bytes.
LONGEST_WORD = 200


class Piece(NamedTuple):
    """A word, and the same word with the signs behind it in letters: `c` and `cplusplus`. Most have no signs."""

    word: str
    signed: str = ""


def split_words(text: str) -> Iterator[Piece]:
    folded = fold(text)
    for word, signs in PLAIN_PIECE.findall(folded) if folded.isascii() else PIECE.findall(keep_parts(folded)):
        word = word[:LONGEST_WORD]  # noqa: PLW2901 (the rest of it counts for nothing)
        yield Piece(word, word + "".join(SIGNS[sign] for sign in signs) if signs else "")


def keep_parts(folded: str) -> str:
    return "".join(letter if letter in SIGNS or is_part(letter) else " " for letter in folded)


def is_part(letter: str) -> bool:
    return letter.isalnum() if letter.isascii() else category(letter).startswith(KINDS)


def list_compounds(text: str) -> list[str]:
    """`T-shirt C++` → `["tshirt", "shirtc", "cplusplus"]`: each two words as one, and words with signs."""
    pieces = list(split_words(text))
    joined = [(first.word + second.word)[:LONGEST_WORD] for first, second in pairwise(pieces)]
    return joined + [piece.signed for piece in pieces if piece.signed]


def join_compounds(text: str) -> str:
    return " ".join(list_compounds(text))
