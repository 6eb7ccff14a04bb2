"""A person's text in, a CSV cell out that no spreadsheet runs as a formula; and back again, without loss.

`=1+1` becomes `'=1+1`. A text that already begins like that gets one more apostrophe (`'=1` becomes `''=1`), so that
`unguard_text` removes only what `guard_text` has added.
"""

# A spreadsheet runs a cell that begins with one of these.
RISKY = ("=", "+", "-", "@", "\t", "\r")


def guard_text(text: str) -> str:
    return f"'{text}" if text.lstrip("'").startswith(RISKY) else text


def unguard_text(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(RISKY) else cell
