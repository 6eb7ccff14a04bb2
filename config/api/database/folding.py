"""A text in, the text without case and accents out: `Café` and `CAFÉ` become `cafe`, `Łódź` `lodz`, `Straße` `strasse`.

One table, folds.txt, for Python, for SQLite (which calls Python) and for PostgreSQL (a function that a migration
writes): each line has what is written, a blank, and the letters that become it. It was made from Unicode 15.1:
canonical decomposition without the marks below, case folding, and the letters that have no decomposition (`ł`, `ø`,
`æ`). So it doesn't change with the version of Python or of PostgreSQL. A change of it needs a migration that writes
the function again, and all that was made by it.
"""

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path

# The first and the last of each block of combining marks. They are left out.
MARKS = (("\u0300", "\u036f"), ("\u1ab0", "\u1aff"), ("\u1dc0", "\u1dff"), ("\u20d0", "\u20ff"), ("\ufe20", "\ufe2f"))
# PostgreSQL's translate() walks through its list for each character of a text. So the table is cut into blocks, as for
# the brackets of a regular expression, and only the blocks of which a text has a letter are used: 8 microseconds for a
# title in Chinese instead of 122. One in ASCII takes 2, one with accents 50 (PostgreSQL 15).
BLOCKS = {
    "Latin": "\u00a0-\u024f",
    "Greek, Cyrillic, Armenian, marks": "\u0250-\u058f",
    "rare": (
        "\u1090-\u1fff\u20d0-\u218f\u2460-\u24ff\u2c00-\u2dff\ua640-\ua7ff"
        "\uab30-\uabff\ufb00-\ufb1f\ufe20-\ufe2f\uff10-\uff5a"
    ),
}
# What titles have most, to be found at once.
FREQUENT = " eaoinrtslcdumhpgbfykwvxzjq0123456789-.,"


def read_folds() -> Mapping[str, str]:
    lines = (Path(__file__).parent / "folds.txt").read_text(encoding="utf-8").splitlines()
    folds = {letter: written for line in lines for written, _, letters in [line.partition(" ")] for letter in letters}
    return folds | dict.fromkeys(list_marks(), "")


def list_marks() -> Iterator[str]:
    for first, last in MARKS:
        yield from map(chr, range(ord(first), ord(last) + 1))


FOLDS = read_folds()
TABLE = str.maketrans(dict(FOLDS))


def fold(text: str) -> str:
    # A tenth of the time, for most titles.
    return text.lower() if text.isascii() else text.translate(TABLE)


def write_function(name: str) -> str:
    """The statement that makes PostgreSQL's function of the same. ASCII, as most titles are, takes the first branch."""
    steps = [("".join(list_long()), replace_long("given"))]
    steps += [(block, translate("given", find_folds(block))) for block in BLOCKS.values()]
    blocks = "".join(f"    IF given ~ '[{block}]' THEN given := {written}; END IF;\n" for block, written in steps)
    return f"""
CREATE OR REPLACE FUNCTION {name}(given text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    given := lower(given COLLATE "C");
    IF octet_length(given) = length(given) THEN
        RETURN given;
    END IF;
{blocks}    RETURN given;
END $$"""


def list_long() -> list[str]:
    """The letters that become more than one."""
    return sorted(letter for letter, written in FOLDS.items() if len(written) > 1)


def replace_long(column: str) -> str:
    return reduce(lambda sql, letter: f"replace({sql}, '{letter}', '{FOLDS[letter]}')", list_long(), column)


def find_folds(block: str) -> dict[str, str]:
    """The folds of a block's letters to one letter or none."""
    return {
        letter: FOLDS[letter] for letter in sorted(FOLDS) if re.match(f"[{block}]", letter) and len(FOLDS[letter]) < 2
    }


def translate(column: str, folds: Mapping[str, str]) -> str:
    """What has no counterpart in the second list is left out."""
    single, gone = [letter for letter in folds if folds[letter]], [letter for letter in folds if not folds[letter]]
    written = "".join(folds[letter] for letter in single)
    return f"translate({column}, '{FREQUENT}{''.join(single + gone)}', '{FREQUENT}{written}')"
