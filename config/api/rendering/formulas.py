"""What a person wrote in, a cell of a CSV out that no spreadsheet runs, and the other way round, letter for letter.

`=1+1` becomes `'=1+1`. Text that begins so by itself gets one more, `'=1` becomes `''=1`, so that what is taken away
is always what was added.
"""

# A cell that begins so is run by a spreadsheet.
RISKY = ("=", "+", "-", "@", "\t", "\r")


def guard_text(text: str) -> str:
    return f"'{text}" if text.lstrip("'").startswith(RISKY) else text


def unguard_text(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(RISKY) else cell
