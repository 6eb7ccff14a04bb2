"""Bytes in, the encoding of their text out; a text in another encoding than it should have is refused as a whole.

A file that is read with the wrong encoding would lose its rows with accents, or store wrong letters. So the whole file
is decoded once before its first row is imported: this takes about a second for a gigabyte.
"""

import codecs
from typing import IO

from catalog.imports.errors import BadFile
from catalog.imports.unpacking import PIECE

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Python's codecs that aren't encodings of files.
NO_FILES = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem", "utf_7"}
# The encodings that a guess names, with the letters that speak for each.
CANDIDATES = (
    ("windows-1252", "äöüßÄÖÜéèêàâçñáíóúãõôîïëåøæœÅØÆÉÈÀÇÑ€\u2019\u201c\u201d\u2013®°£"),
    ("windows-1250", "ąćęłńśźżŁŚŻčďěňřšťůžőűČŘŠŽ"),
    ("windows-1251", "".join(map(chr, range(0x410, 0x450)))),
    ("cp850", "äöüßÄÖÜéèêàâçñáíóú"),
    ("mac_roman", "äöüßÄÖÜéèêàâçñáíóúåøæ\u2019\u201c\u201d"),
)
EAST_ASIAN = (("shift_jis", "\u3040", "\u30ff"), ("gb18030", "\u4e00", "\u9fff"), ("euc_kr", "\uac00", "\ud7a3"))
# The characters around a bad byte that a guess looks at.
SAMPLE = 4_096


def find_codec(name: str) -> str:
    """Python's name of an encoding. Raises BadFile if it knows none of this name."""
    try:
        codec = codecs.lookup(name).name
        "".encode(codec)
    except (LookupError, ValueError):
        codec = "undefined"
    if codec.replace("-", "_") in NO_FILES:
        raise BadFile(
            f"encoding: {name!r} is no encoding of files: give one such as windows-1252, iso-8859-1 or utf-16"
        )
    return codec


def find_encoding(start: bytes, given: str = "") -> str:
    """The encoding of a text that begins with these bytes: by its mark, `given`, zeros between letters, or UTF-8."""
    for mark, name in BOMS:
        if start.startswith(mark):
            return name
    if given:
        return find_codec(given)
    # In UTF-16 each other byte of a Latin text is zero.
    half = len(start) // 2
    for name, zeros, letters in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
        if half > 1 and zeros.count(0) > half * 0.6 and letters.count(0) < half * 0.2:
            return name
    return "utf-8"


def check_encoding(stream: IO[bytes], name: str, encoding: str) -> None:
    """Decode everything. Raises BadFile that names the line, the byte and the encoding that it seems to be."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, before = 1, b""
    while piece := stream.read(PIECE):
        try:
            decoder.decode(piece)
        except UnicodeDecodeError as error:
            # `error.object` has bytes of the piece before, if a character was cut in two.
            line += error.object[: error.start].count(b"\n")
            raise BadFile(describe(name, line, error, encoding)) from None
        line += piece.count(b"\n")
        before = piece
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        error.object = before[-SAMPLE:] if len(before) > len(error.object) else error.object
        raise BadFile(describe(name, line, error, encoding)) from None


def describe(name: str, line: int, error: UnicodeDecodeError, encoding: str) -> str:
    byte = error.object[error.start] if error.start < len(error.object) else error.object[-1]
    where = f"{name} isn't {encoding.removesuffix('-sig').upper()}: its line {line} has the byte 0x{byte:02X}"
    if not encoding.startswith("utf-8"):
        return f"{where}, which this encoding doesn't have: give another encoding, or save the file as UTF-8"
    sample = error.object[max(0, error.start - SAMPLE) : error.start + SAMPLE]
    if is_mixed(sample):
        return f"{where}, though the texts around are: correct what is wrong there, and save the file as UTF-8"
    likely = guess_encoding(sample)
    return f"{where}. It seems to be {likely}: save the file as UTF-8, or give encoding={likely}"


def is_mixed(sample: bytes) -> bool:
    """Whether three of four letters beyond ASCII are UTF-8, so that no other encoding fits the whole file."""
    odd = [sign for sign in sample.decode(errors="replace") if not sign.isascii()]
    return odd.count("\ufffd") <= len(odd) / 4


def guess_encoding(sample: bytes) -> str:
    """The encoding in which the bytes beyond ASCII are most often letters of its languages."""
    best, name = 0.0, "windows-1252"
    for candidate, letters in CANDIDATES:
        text = sample.decode(candidate, errors="replace")
        share = measure(text, letters)
        best, name = (share, candidate) if share > best else (best, name)
    if best > 0.8:
        return name
    for candidate, first, last in EAST_ASIAN:
        text = sample.decode(candidate, errors="replace")
        odd = [sign for sign in text if not sign.isascii()]
        if odd and sum(first <= sign <= last for sign in odd) > len(odd) * 0.6:
            return candidate
    return name


def measure(text: str, letters: str) -> float:
    odd = [sign for sign in text if not sign.isascii()]
    return sum(sign in letters for sign in odd) / len(odd) if odd else 0.0
