"""A person's text in, a CSV cell out that no spreadsheet runs as a formula; and back again, without loss.

`=1+1` becomes `'=1+1`. A text that already begins like that gets one more apostrophe (`'=1` becomes `''=1`), so that
`unguard_text` removes only what `guard_text` has added.

A spreadsheet may also split a cell at a sign that isn't the file's separator, quoted or not: with `;` as its separator
it finds a formula in `a;=1`. So `a;=1` becomes `a;'=1`. In JSON the sign becomes its escape sequence instead. Blanks
don't hide a formula: `a; =1` becomes `a;' =1`.
"""

import re

# A spreadsheet runs a cell that begins with one of these. Some take full-width signs, too.
FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"
# At the beginning of a cell these may hide anything.
HIDING = "\t\r"
# All blanks up to the ideographic one but separators: some programs drop them before they look for such a sign. What
# follows a separator is looked at anyway, and from each one of a long run the rest of the run would be read again.
BLANKS = "".join(sign for sign in map(chr, range(0x3001)) if sign.isspace() and sign not in "\t\r\n")

# Regular expressions, for Python and for PostgreSQL, and as UTF-8 for bytes, where no class may have a sign beyond
# ASCII: the beginning of a risky text, a sign at which a spreadsheet may split a cell, and the beginning of a formula
# behind it.
SIGN, BLANK = ("|".join(map(re.escape, signs)) for signs in (FORMULA, BLANKS))
LEADING = f"(?:'*[{HIDING}]|(?:'|{BLANK})*(?:{SIGN}))"
SEPARATOR = r"[;|\t\n\r]"
HIDDEN = f"""(?:"|'|{BLANK})*(?:{SIGN})"""
UNGUARDED = f"^(?={LEADING})|(?<={SEPARATOR})(?={HIDDEN})"
# The separators that JSON itself doesn't escape.
ESCAPES = {";": r"\u003b", "|": r"\u007c"}

find_unguarded = re.compile(UNGUARDED)
find_guards = re.compile(f"^'(?={LEADING})|(?<={SEPARATOR})'(?={HIDDEN})")
find_separators = re.compile(f"[;|](?={HIDDEN})")
find_hidden = re.compile((SEPARATOR + HIDDEN).encode())


def guard_text(text: str) -> str:
    return find_unguarded.sub("'", text)


def unguard_text(cell: str) -> str:
    # Most cells have no apostrophe, and to look for one takes a tenth of the time.
    return find_guards.sub("", cell) if "'" in cell else cell


def guard_json(text: str) -> str:
    return find_separators.sub(lambda found: ESCAPES[found[0]], text)


def may_hide_formula(csv: bytes, rows: int) -> bool:
    """Whether a cell of these lines may hold a formula behind a separator."""
    # Single bytes are found in a tenth of the time, and most files have none of these.
    has_separator = any(sign in csv for sign in (b";", b"|", b"\t", b"\r")) or csv.count(b"\n") > rows
    return has_separator and find_hidden.search(csv) is not None
