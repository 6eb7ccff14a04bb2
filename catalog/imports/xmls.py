"""An XML feed (RSS 2.0 or Atom, as Google's) in, records out: one for each item, by its number. Memory holds one item.

Entities and external documents are refused: they expand to gigabytes, or fetch what the sender chooses.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from catalog.imports.errors import BadFile
from catalog.imports.records import Record
from catalog.imports.trees import find_columns

ITEMS = ("item", "entry")
# The most bytes of an item, since one is held in memory.
MOST_ITEM = 4_194_304
# The most elements within each other. A feed has five or so, and each end clears all that are open.
MOST_DEPTH = 100


def is_xml(start: bytes, encoding: str) -> bool:
    text = start.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n")
    return text.startswith(("<?xml", "<rss", "<feed", "<channel"))


def open_xml(stream: IO[bytes], name: str) -> tuple[dict[str, None], Iterator[Record]]:
    columns, records = find_columns(read_items(stream), name)
    if not columns:
        first = next(records, None)
        reason = first.fault if first and first.fault else "has no items with values"
        raise BadFile(f"{name} is XML that {reason}: send a feed of RSS 2.0 or Atom with its items, or a CSV")
    return columns, records


def read_items(stream: IO[bytes]) -> Iterator[Record]:
    number = 0
    pieces = Pieces(stream)
    try:
        path: list[Element] = []
        for event, element in iterparse(pieces, events=("start", "end")):
            if event == "start":
                path.append(element)
                check_depth(path)
                continue
            path.pop()
            if drop_namespace(element.tag) in ITEMS:
                number += 1
                pieces.size = 0
                yield Record(number, read_item(element))
                # The parent would keep each item that was read.
                for parent in path:
                    parent.clear()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        reason = "declares entities, which are refused" if isinstance(error, DefusedXmlException) else str(error)
        yield Record(number + 1, {}, f"can't be read ({reason}), nor any after it; correct the file")


def check_depth(path: list[Element]) -> None:
    if len(path) > MOST_DEPTH:
        raise ValueError(f"it has more than {MOST_DEPTH} elements within each other")


class Pieces:
    """Passes bytes on. Raises ValueError if an item doesn't end within MOST_ITEM of them."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.size = 0

    def read(self, size: int) -> bytes:
        piece = self.stream.read(size)
        self.size += len(piece)
        if self.size > MOST_ITEM:
            raise ValueError(f"an item has more than {MOST_ITEM:,} bytes")
        return piece


def read_item(item: Element) -> dict[str, Any]:
    """The texts by name, without namespaces; several of one name are a list."""
    found = defaultdict[str, list[str]](list)
    for child in item:
        found[drop_namespace(child.tag)].append("".join(child.itertext()).strip() or child.get("href", ""))
    return {name: texts if len(texts) > 1 else texts[0] for name, texts in found.items()}


def drop_namespace(tag: str) -> str:
    return tag.rpartition("}")[2]
