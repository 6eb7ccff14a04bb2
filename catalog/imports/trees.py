"""JSON in, records out: one object a line (NDJSON), a list of objects, or one object. Memory holds one object."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from catalog.imports.errors import BadFile
from catalog.imports.lines import MOST_LINE, Lines, LineTooLong
from catalog.imports.records import Notes, Record
from catalog.imports.tables import MOST_COLUMNS, refuse_wide

# JSON has no header: its columns are the keys of so many first records. A key that comes later is an unknown column.
FIRST_RECORDS = 100
# A member with a plain value: of a page its number, its count, the address of the next.
PLAIN = r'"([^"\\]{1,60})"\s*:\s*(?:"[^"\\]*"|[\w.+-]+)\s*,\s*'
# Objects around a list, as APIs send it: `{"count": 2, "results": [`, `{"data": {"products": [`.
LIST = r'"(?:products|items|data|results?|response|rows|records)"\s*:\s*'
WRAPPED = re.compile(rf"\s*(?:\{{\s*(?:{PLAIN})*{LIST})+(?=\[)")
# The name of a member before or behind this list.
BEFORE = re.compile(PLAIN)
FURTHER = re.compile(r'[\s}]*,\s*"([^"]{1,60})"\s*:')
BLANK = re.compile(r"\s*")
PIECE = 64 * 1024
# So many characters tell whether an object around a list begins.
BEGINNING = 1_000


class RepeatedMember(ValueError):
    """An object has two members of one name: nobody can say which of them is meant."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.msg = f"an object has two members {name[:60]!r}"


def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise RepeatedMember(Counter(name for name, _ in pairs).most_common(1)[0][0])
    return members


DECODER = json.JSONDecoder(object_pairs_hook=make_object)


def open_json(records: Iterator[Record], name: str) -> tuple[dict[str, None], Iterator[Record]]:
    """The columns and the records. Raises BadFile if none of the first records can be read."""
    columns, records = find_columns(records, name)
    if not columns and (first := next(records, None)) and first.fault:
        rule, _, remedy = first.fault.partition("; ")
        raise BadFile(f"{name}: its row {first.line} {rule}: {remedy}")
    return columns, records


def find_columns(records: Iterator[Record], name: str) -> tuple[dict[str, None], Iterator[Record]]:
    """The columns, to which later records add theirs, and the records."""
    first = list(islice(records, FIRST_RECORDS))
    columns = dict.fromkeys(column for record in first for column in record.cells)
    refuse_wide(tuple(columns), name)
    return columns, note_columns(chain(first, records), columns)


def note_columns(records: Iterator[Record], columns: dict[str, None]) -> Iterator[Record]:
    for record in records:
        if len(columns) < MOST_COLUMNS:
            new = (column for column in record.cells if column not in columns)
            columns |= dict.fromkeys(tuple(islice(new, MOST_COLUMNS - len(columns))))
        yield record


def read_ndjson(lines: Lines) -> Iterator[Record]:
    while True:
        try:
            text = next(lines)
        except StopIteration:
            return
        except LineTooLong as error:
            yield Record(lines.number, {}, f"can't be read ({error}); write one object a line")
            continue
        # The last line of our own NDJSON exports marks a complete file; it isn't a product.
        if text.strip() and not text.startswith('{"_end":'):
            yield parse_line(lines.number, text)


def parse_line(line: int, text: str) -> Record:
    try:
        cells = DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "too deep or a number too long")
        return Record(line, {}, f"is not JSON ({reason}); write one object a line")
    return make_record(line, cells)


def make_record(line: int, cells: Any) -> Record:
    if not isinstance(cells, dict):
        return Record(line, {}, 'is JSON, but not an object; write {"sku": …, "title": …, "price": …}')
    return Record(line, cells)


def is_document(first: list[str]) -> bool:
    """Whether the text is one JSON document, and not an object a line."""
    text = "".join(first).lstrip()
    if text.startswith("[") or WRAPPED.match(text):
        return True
    try:
        json.loads(first[0])
    except (ValueError, RecursionError):
        # An object that goes on in the next line. A line that is wrong but closed is one bad row of NDJSON.
        return text.startswith("{") and not first[0].rstrip().endswith("}") and len(first) > 1
    return False


def read_document(lines: Lines, notes: Notes) -> Iterator[Record]:
    """The objects of a list, or those that follow each other, numbered from 1."""
    text = Text(lines)
    is_wrapped = WRAPPED.match(text.text)
    if is_wrapped and (before := BEFORE.search(is_wrapped[0])):
        note_beside(notes, f"begins with {before[1]!r}")
    text.skip(WRAPPED)
    if not text.take("["):
        yield from read_objects(text)
        return
    number = 0
    while not text.has_failed and not text.take("]"):
        number += 1
        if not text.skip(BLANK):
            yield Record(number, {}, "doesn't end: the file was cut off, so send it whole")
            return
        yield text.read_value(number)
        text.take(",")
    if is_wrapped and text.skip(BLANK) and (member := FURTHER.match(text.text, text.place)):
        note_beside(notes, f"goes on with {member[1]!r}")
    if not (text.has_failed or is_wrapped) and text.skip(BLANK):
        yield Record(number + 1, {}, "comes after the end of the list, and wasn't read; send one list")


def note_beside(notes: Notes, place: str) -> None:
    notes.guess("list", "the first of the file", f"the object around the list {place}, which isn't read", place)


def read_objects(text: "Text") -> Iterator[Record]:
    number = 0
    while not text.has_failed and text.skip(BLANK):
        number += 1
        yield text.read_value(number)


class Text:
    """A JSON text that is read piece by piece."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.text = ""
        self.place = 0
        self.has_failed = False
        while len(self.text) < BEGINNING and self.read_more(PIECE):
            pass

    def read_more(self, size: int) -> bool:
        piece = self.lines.read(size)
        self.text = self.text[self.place :] + piece
        self.place = 0
        return bool(piece)

    def skip(self, pattern: re.Pattern[str]) -> bool:
        """Skip what matches; whether something follows."""
        found = pattern.match(self.text, self.place)
        self.place = found.end() if found else self.place
        while self.place == len(self.text):
            if not self.read_more(PIECE):
                return False
            found = BLANK.match(self.text)
            self.place = found.end() if found else 0
        return True

    def take(self, sign: str) -> bool:
        """Skip blanks and the sign, if it comes next."""
        if not self.skip(BLANK) or self.text[self.place] != sign:
            return False
        self.place += 1
        return True

    def read_value(self, number: int) -> Record:
        self.skip(BLANK)
        while True:
            try:
                value, self.place = DECODER.raw_decode(self.text, self.place)
            except (ValueError, RecursionError) as error:
                left = len(self.text) - self.place
                # As much again as there is: a long object is then read in few attempts.
                if left < MOST_LINE and self.read_enough(left):
                    continue
                self.has_failed = True
                reason = getattr(error, "msg", "too deep or a number too long")
                rule = f"is not JSON ({reason}), or longer than {MOST_LINE:,} characters, so nothing after it was read"
                return Record(number, {}, f"{rule}; correct it")
            return make_record(number, value)

    def read_enough(self, size: int) -> bool:
        before = len(self.text) - self.place
        while len(self.text) - self.place < before + max(size, PIECE) and self.read_more(PIECE):
            pass
        return len(self.text) - self.place > before
