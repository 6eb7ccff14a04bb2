"""Read the rows of a page: as JSON texts that the database wrote, or as model instances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from django.db.models import Expression, Field, QuerySet, Value

from config.api.database.statements import Given, Page, Statement
from config.api.reads.orderings import Keyset


class Reader(Protocol):
    """Reads the rows of a page."""

    # Whether each row can have the bounded count as its last column.
    counts_along: ClassVar[bool]

    @property
    def rows(self) -> QuerySet[Any]:
        """All rows of the list, in its order."""

    def bind(self, columns: Sequence[Field[Any, Any]], values: Sequence[Any]) -> Sequence[Expression]:
        """Expressions for the values of a cursor's position."""

    def fetch(
        self, name: Any, rows: Callable[[], QuerySet[Any]], size: int, keyset: Keyset | None, values: Sequence[Any]
    ) -> Page:
        """A page of at most `size` rows. `rows()` may give one more, which shows that there is a next page.

        Querysets with the same `name` differ only in `values`, so a reader may compile one and use it for all.
        """


@dataclass(frozen=True)
class TextReader:
    """Reads rows as JSON texts. `rows` are tuples of the text and the values that order it.

    Each statement is compiled at its first use. The values of a position are its parameters (Given).
    """

    rows: QuerySet[Any]
    statements: dict[Any, Statement | None] = field(default_factory=dict)
    counts_along: ClassVar[bool] = True

    def bind(self, columns: Sequence[Field[Any, Any]], values: Sequence[Any]) -> Sequence[Expression]:
        return [Given(index, column) for index, column in enumerate(columns)]

    def fetch(
        self, name: Any, rows: Callable[[], QuerySet[Any]], size: int, keyset: Keyset | None, values: Sequence[Any]
    ) -> Page:
        if name not in self.statements:
            self.statements[name] = Statement.compile(rows())
        statement = self.statements[name]
        return statement.fetch_page(size, values) if statement else Page()


@dataclass(frozen=True)
class InstanceReader:
    """Reads rows as instances. `show` turns them into the contents of the page."""

    rows: QuerySet[Any]
    show: Callable[[Sequence[Any]], Sequence[Any]] = list
    # The count would be an annotation, and an instance might already have an attribute with its name.
    counts_along: ClassVar[bool] = False

    def bind(self, columns: Sequence[Field[Any, Any]], values: Sequence[Any]) -> Sequence[Expression]:
        return [Value(value, column) for value, column in zip(values, columns, strict=True)]

    def fetch(
        self, name: Any, rows: Callable[[], QuerySet[Any]], size: int, keyset: Keyset | None, values: Sequence[Any]
    ) -> Page:
        found = list(rows())
        page = found[:size]
        first, last = (keyset.read(row) if keyset else () for row in (page[0], page[-1])) if page else ((), ())
        return Page(self.show(page), len(found) > size, first, last)
