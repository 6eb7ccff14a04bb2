"""Bytes in, the encoding of their text out; a text in another encoding than it should have is refused as a whole.

A file that is read with the wrong encoding would lose its rows with accents, or store wrong letters. So the whole file
is decoded once before its first row is imported: this takes about a second for a gigabyte.
"""

import codecs
from typing import IO

from catalog.imports.errors import BadFile
from catalog.imports.guessing import advise, is_likelier_utf8
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
# Files of this name have the signs of windows-1252 (dashes, quotes, the euro sign), where it has unseen control
# characters. Browsers read them so, too (https://encoding.spec.whatwg.org/#names-and-labels).
LATIN = {"iso8859-1": "cp1252"}
# The bytes around a bad one that a guess looks at.
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
            f"encoding: {name!r} is no encoding of files: give one such as windows-1252, iso-8859-2 or utf-16"
        )
    return LATIN.get(codec, codec)


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
    line, before, as_utf8 = 1, b"", Utf8Watch(is_wanted=not encoding.startswith("utf"))
    while piece := stream.read(PIECE):
        as_utf8.look(piece)
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
    if as_utf8.sample:
        refuse_utf8(as_utf8.sample, name, encoding)


def refuse_utf8(sample: str, name: str, encoding: str) -> None:
    """Raises BadFile for a text that is UTF-8 and, as its letters show, not in the given encoding."""
    if is_likelier_utf8(sample, encoding):
        letter = next(sign for sign in sample if not sign.isascii())
        wrong = letter.encode().decode(encoding, errors="replace")
        raise BadFile(
            f"encoding: {name} is UTF-8, and {encoding} reads its {letter!r} as {wrong!r}: leave encoding out"
        )


class Utf8Watch:
    """Tells whether a text is UTF-8, though another encoding was given for it.

    `sample` is then a part of it with letters beyond ASCII. One short word may be UTF-8 by chance: "чай" in cp866.
    """

    def __init__(self, *, is_wanted: bool) -> None:
        self.decoder = codecs.getincrementaldecoder("utf-8")() if is_wanted else None
        self.sample = ""

    def look(self, piece: bytes) -> None:
        if not self.decoder:
            return
        try:
            text = self.decoder.decode(piece)
        except UnicodeDecodeError:
            self.decoder, self.sample = None, ""
        else:
            self.sample = self.sample or ("" if text.isascii() else cut_sample(text))


def cut_sample(text: str) -> str:
    """The text from the line of its first letter beyond ASCII on."""
    first = next(place for place, sign in enumerate(text) if not sign.isascii())
    return text[max(text.rfind("\n", 0, first) + 1, first - SAMPLE) : first + SAMPLE]


def describe(name: str, line: int, error: UnicodeDecodeError, encoding: str) -> str:
    byte = error.object[error.start] if error.start < len(error.object) else error.object[-1]
    where = f"{name} isn't {encoding.removesuffix('-sig').upper()}: its line {line} has the byte 0x{byte:02X}"
    if not encoding.startswith("utf-8"):
        return f"{where}, which this encoding doesn't have: give another encoding, or save the file as UTF-8"
    sample = error.object[max(0, error.start - SAMPLE) : error.start + SAMPLE]
    if is_mixed(sample):
        return f"{where}, though the texts around are: correct what is wrong there, and save the file as UTF-8"
    # All before the bad byte is UTF-8, so its line begins with a whole character.
    begin = error.object.rfind(b"\n", 0, error.start) + 1
    return f"{where}. {advise(error.object[max(begin, error.start - SAMPLE) : error.start + SAMPLE])}"


def is_mixed(sample: bytes) -> bool:
    """Whether three of four letters beyond ASCII are UTF-8, so that no other encoding fits the whole file."""
    odd = [sign for sign in sample.decode(errors="replace") if not sign.isascii()]
    return odd.count("\ufffd") <= len(odd) / 4
