"""What a format is: it recognises a file by its columns, and turns the records of one product into a draft.

A format that has several rows a product says by `group` which rows belong together; the others get one row at a time.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import ClassVar

from catalog.imports.errors import REASON, BadFile
from catalog.imports.formats.mapping import SLIP, suggest
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.terms import TermDraft
from catalog.writes.drafts import ProductDraft

# Fields of columns that are read together with others, by a word in their names.
WORDS = (
    ("image", "images"), ("option", "options"), ("attribute", "options"), ("variation", "options"), ("price", "price"),
    ("categor", "category"), ("tag", "tags"), ("quantity", "stock"), ("inventory", "stock"), ("weight", "weight"),
    ("location", "location"), ("sku", "sku"), ("handle", "slug"), ("publish", "status"), ("status", "status"),
)  # fmt: skip


class Format(ABC):
    """One file in one format. The constructor raises BadFile if the options don't fit the file."""

    name: ClassVar[str]
    label: ClassVar[str]
    # All names of columns that the format reads, for finding headers and unread columns.
    known: ClassVar[frozenset[str]]
    # Whether a product may have several rows.
    is_grouped: ClassVar[bool] = False
    # Fields by column, as far as a column is one field's.
    fields_of: ClassVar[Mapping[str, str]] = {}
    # The name of a product's key in errors.
    key_name: ClassVar[str] = "sku"
    # Whether products that the file doesn't name may be archived. Not by a file of stock.
    names_products: ClassVar[bool] = True
    # Whether the file has rows as they were stored: brands and categories by slug, in an order that is kept.
    is_exact: ClassVar[bool] = False

    def __init__(self, source: Source, options: Options) -> None:
        self.source = source
        self.options = options

    @classmethod
    @cache
    def spellings(cls) -> Mapping[str, str]:
        """Names of columns as the format writes them, by how a file may write them, in small letters."""
        return {name.lower(): name for name in sorted(cls.known)}

    @classmethod
    @abstractmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        """Whether a file of this kind with these columns is of this format."""

    @abstractmethod
    def draft(self, records: Sequence[Record]) -> ProductDraft | TermDraft | None:
        """The draft of one product; None for rows that say to do nothing. Raises BadRow with all errors of the rows."""

    def group(self, record: Record) -> str:
        """The key that the rows of one product share; empty for a row without one, which is drafted alone."""
        raise NotImplementedError

    def list_joined(self, record: Record) -> Iterable[str]:
        """The keys of other groups whose rows belong to this record's product."""
        return ()

    def list_read(self) -> Iterable[str]:
        """The file's columns that are read."""
        return self.known

    def list_columns(self) -> list[dict[str, str]]:
        """The file's columns, each with the field that it is read as; empty if it isn't read."""
        read = set(self.list_read())
        return [
            {"column": column, "field": self.find_field(column) if column in read else ""}
            for column in self.name_columns()
        ]

    def name_columns(self) -> list[str]:
        """The file's columns that are somebody's: a file to mend (mending.py) also has our reasons."""
        return [column for column in self.source.columns if column and column != REASON]

    def find_field(self, column: str) -> str:
        """The field of a column that is read."""
        name = self.find_name(column)
        return self.fields_of.get(name) or next((field for word, field in WORDS if word in name.lower()), "product")

    def find_name(self, column: str) -> str:
        """The column's name as the format writes it."""
        return column

    def list_unread(self) -> list[dict[str, str]]:
        """The file's columns that aren't read, each with the most similar name that could be."""
        read = set(self.list_read())
        free = self.known - set(self.source.columns)
        unread = [column for column in self.name_columns() if column not in read]
        return [{"column": column, "near": suggest(column, free, SLIP) or ""} for column in unread]

    def refuse_map(self) -> None:
        if self.options.map:
            raise BadFile(
                f"map: the columns of {self.label} are fixed, and {self.source.name} is such a file: use format csv"
            )
