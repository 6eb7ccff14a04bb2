"""A queryset in, the rows of a page out: as JSON texts that the database wrote, or as instances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from django.db.models import Expression, Field, QuerySet, Value

from config.api.database.statements import Given, Page, Statement
from config.api.reads.orderings import Keyset


class Reader(Protocol):
    """Reads the rows of a page."""

    # Whether a bounded count can be the last column of each row.
    counts_along: ClassVar[bool]

    @property
    def rows(self) -> QuerySet[Any]:
        """All rows of the list, in its order."""

    def bind(self, columns: Sequence[Field[Any, Any]], values: Sequence[Any]) -> Sequence[Expression]:
        """Expressions for the values of a position."""

    def fetch(
        self, name: Any, rows: Callable[[], QuerySet[Any]], size: int, keyset: Keyset | None, values: Sequence[Any]
    ) -> Page:
        """A page of at most `size` rows; `rows()` may give one more, which tells that there are more.

        Querysets with the same `name` differ only in `values`, so a reader may compile one of them for all.
        """


@dataclass(frozen=True)
class TextReader:
    """Reads rows as JSON texts; `rows` are tuples of the text and the values that order it.

    Each statement is compiled at its first use; the values of a position are Given to it.
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
    """Reads rows as the queryset yields them; `show` then turns them into what the page holds."""

    rows: QuerySet[Any]
    show: Callable[[Sequence[Any]], Sequence[Any]] = list
    # False, since the count would be an annotation, whose name an instance might have already.
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
