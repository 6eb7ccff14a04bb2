"""The plans of lists. A plan reads pages by cursor or by page number, and puts each into its envelope.

A page takes one query, which reads at most one row past the page. It takes a second one if the count can't be a column
of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from time import perf_counter
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from django.db.models import Field, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.sql.where import WhereNode
from rest_framework.request import Request

from config.api.database.statements import Page, Statement
from config.api.problems.errors import PageTooDeep
from config.api.reads.conditional import make_etag
from config.api.reads.counting import (
    BOUND,
    Count,
    CountUpTo,
    compile_count,
    count_first,
    estimate_rows,
    name_count,
    refuse_dear_count,
)
from config.api.reads.cursors import CursorPosition, list_parameters, read_cursor, write_cursor
from config.api.reads.orderings import Keyset
from config.api.reads.plans import Reply
from config.api.reads.readers import Reader
from config.api.reads.unserved import find_keys, find_steps, narrow_steps, require_match
from config.api.rendering.renderers import write_json

# The column of the bounded count.
COUNTED = "rows_counted"


@dataclass(frozen=True)
class Address:
    """The URL of a list. `query` has all parameters except `page` and `cursor`."""

    path: str
    query: str

    @classmethod
    def of(cls, request: Request) -> Address:
        query = sorted(item for item in list_parameters(request) if item[0] not in ("page", "cursor"))
        return cls(request.build_absolute_uri(request.path), urlencode(query))

    def at(self, **place: Any) -> str:
        """The URL of one page: `at(page=2)`, `at(cursor="…")`."""
        parts = (self.query, *(f"{name}={quote(str(value))}" for name, value in place.items()))
        return f"{self.path}?{'&'.join(part for part in parts if part)}"


@dataclass(frozen=True)
class Envelope:
    """A page, and the other members of its answer: `links` has the URLs, counts and page numbers, `beside` the rest."""

    page: Page
    links: Mapping[str, Any]
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def members(self) -> dict[str, Any]:
        """All members of the JSON answer, for a page of JSON texts."""
        return {"results": join_texts(self.page.rows), **self.links, **self.beside}

    @property
    def headers(self) -> dict[str, str]:
        pairs = (("next", self.links["next"]), ("prev", self.links["previous"]))
        links = ", ".join(f'<{url}>; rel="{name}"' for name, url in pairs if url)
        return {"Link": links} if links else {}


class PagePlan:
    """Reads the pages of a list as envelopes, and writes them as JSON."""

    def read(self, cursor: str | None) -> Envelope:
        """One page. Raises InvalidCursor if `cursor` is damaged or belongs to another list."""
        raise NotImplementedError

    def reply(self, cursor: str | None) -> Reply:
        """The page as JSON, for a plan whose rows are JSON texts."""
        envelope, began = self.read(cursor), perf_counter()
        body = write_json(envelope.members)
        headers = {**envelope.headers, "ETag": make_etag(body)}
        return Reply(body, headers, perf_counter() - began, len(envelope.page.rows))


@dataclass(frozen=True)
class ReadPlan(PagePlan):
    """A page that was read already."""

    envelope: Envelope

    def read(self, cursor: str | None) -> Envelope:
        return self.envelope


class EmptyPage(Exception):
    """The page has no rows, and its view may have another answer than `plan`, which gives that page."""

    def __init__(self, plan: ReadPlan) -> None:
        super().__init__()
        self.plan = plan


@dataclass(frozen=True)
class FilledPlan(PagePlan):
    """Only pages with rows. Raises EmptyPage."""

    plan: PagePlan

    def read(self, cursor: str | None) -> Envelope:
        envelope = self.plan.read(cursor)
        if not envelope.page.rows:
            raise EmptyPage(ReadPlan(envelope))
        return envelope


@dataclass(frozen=True)
class ListPlan(PagePlan):
    """Reads the pages of a list with given parameters, at any cursor. A plan may be cached and used again.

    `rows` are all rows of the list without their JSON, for counts. `mark` binds cursors to the list (cursors.py).
    `page_size` is a number of rows. `count_way` is one of counting.WAYS. `counters` holds the statement that counts.
    `beside` are further members of each page.
    """

    rows: QuerySet[Any]
    reader: Reader
    keyset: Keyset | None
    address: Address
    mark: str
    page_size: int
    count_way: str
    counters: dict[str, Statement | None] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)

    def fetch(self, name: Any, rows: Callable[[], QuerySet[Any]], values: Sequence[Any] = ()) -> Page:
        return self.reader.fetch(name, rows, self.page_size, self.keyset, values)

    def counted(self, is_first: bool = False) -> QuerySet[Any]:
        """The rows, with the bounded count as their last column if it is wanted, so that both take one round trip."""
        if self.count_way != "bounded" or not self.reader.counts_along:
            return self.reader.rows
        # Another page is read by its keys or from a cursor on, so it doesn't see all rows.
        count = count_first if is_first and not find_steps(self.rows) else CountUpTo
        return self.reader.rows.annotate(**{COUNTED: count(self.rows, BOUND)})

    def count(self, page: Page) -> Count | None:
        """The count that the request wants; None for `count=none`."""
        if self.count_way in ("none", "estimated"):
            return estimate_rows(self.rows) if self.count_way == "estimated" else None
        most = BOUND if self.count_way == "bounded" else None
        if most is None:
            refuse_dear_count(self.rows)
        if most and page.rows and self.reader.counts_along:
            return name_count(page.first[-1], most)
        if "count" not in self.counters:
            self.counters["count"] = compile_count(self.rows, most)
        statement = self.counters["count"]
        return name_count(statement.fetch_number() if statement else 0, most)

    def count_from(self, start: int, page: Page) -> Count | None:
        """The count; the last page tells it without a query."""
        is_last = not page.has_more and (page.rows or start == 0)
        return (start + len(page.rows), "eq") if is_last and self.count_way != "none" else self.count(page)

    def write_cursor(self, values: Sequence[Any], backward: bool = False, inclusive: bool = False) -> str | None:
        if self.keyset is None:
            return None
        # The last of the values may be the count.
        return write_cursor(CursorPosition(tuple(values)[: len(self.keyset.names)], backward, inclusive), self.mark)


class KeysetPlan(ListPlan):
    """Reads a page by cursor. Without a cursor it reads the first page."""

    def read(self, cursor: str | None) -> Envelope:
        position = read_cursor(cursor, self.mark, self.fields) if cursor else None
        page = self.fetch_at(position)
        following, previous = self.find_next(position, page), self.find_previous(position, page)
        links: dict[str, Any] = {
            "next": self.address.at(cursor=following) if following else None,
            "previous": self.address.at(cursor=previous) if previous else None,
            "next_cursor": following,
        }
        if count := self.count(page) if position else self.count_from(0, page):
            links |= {"count": count[0], "count_relation": count[1]}
        return Envelope(page, links, self.beside)

    @cached_property
    def fields(self) -> Sequence[Field[Any, Any]]:
        assert self.keyset is not None  # ListPagination refuses others
        return self.keyset.find_fields(self.rows.model)

    def fetch_at(self, position: CursorPosition | None) -> Page:
        """The page at the position. A page that was read backward is put into the list's order."""
        if position is None:
            return self.fetch("first", lambda: cut_slice(self.counted(is_first=True), self.rows, 0, self.page_size + 1))
        way = (position.backward, position.inclusive)
        page = self.fetch(way, lambda: self.cut_at(position), position.values)
        if not position.backward:
            return page
        return Page(page.rows[::-1], page.has_more, page.last, page.first)

    def cut_at(self, position: CursorPosition) -> QuerySet[Any]:
        shown, rows = (narrow_steps(each, partial(self.narrow, position)) for each in (self.counted(), self.rows))
        return cut_slice(shown, rows, 0, self.page_size + 1)

    def narrow(self, position: CursorPosition, rows: QuerySet[Any]) -> QuerySet[Any]:
        assert self.keyset is not None  # ListPagination refuses others
        return position.narrow(rows, self.keyset, self.reader.bind(self.fields, position.values))

    def find_next(self, position: CursorPosition | None, page: Page) -> str | None:
        if not (page.has_more or (position and position.backward)):
            return None
        if page.rows or position is None:
            return self.write_cursor(page.last)
        # No row is left before the position, so the next page begins with the row at it.
        return self.write_cursor(position.values, inclusive=not position.inclusive)

    def find_previous(self, position: CursorPosition | None, page: Page) -> str | None:
        if position is None or (position.backward and not page.has_more):
            return None
        if page.rows:
            return self.write_cursor(page.first, backward=True)
        return self.write_cursor(position.values, backward=True, inclusive=not position.inclusive)


@dataclass(frozen=True)
class NumberPlan(ListPlan):
    """Reads the page with the number `number`; 1 is the first."""

    number: int = 1

    def read(self, cursor: str | None) -> Envelope:
        start = (self.number - 1) * self.page_size
        page = self.fetch(
            "page", lambda: cut_slice(self.counted(start == 0), self.rows, start, start + self.page_size + 1)
        )
        count, relation = self.count_from(start, page) or (None, None)
        after = self.write_cursor(page.last) if page.has_more else None
        pages = None if count is None else self.count_pages(count)
        known = pages if relation == "eq" else None
        return Envelope(
            page,
            {
                "page": self.number,
                "page_size": self.page_size,
                "pages": pages,
                "count": count,
                "count_relation": relation,
                "next": self.find_next(after) if page.has_more else None,
                "previous": self.find_previous(page, known),
                "next_cursor": after,
            },
            self.beside,
        )

    def find_next(self, after: str | None) -> str | None:
        # After the greatest page number, the list goes on by cursor only.
        if (self.number + 1) * self.page_size <= BOUND:
            return self.address.at(page=self.number + 1)
        return self.address.at(cursor=after) if after else None

    def find_previous(self, page: Page, pages: int | None) -> str | None:
        """The previous page. For a page past the end it is the last page, if the count is known."""
        number = self.number - 1
        if not page.rows and pages is not None:
            number = min(number, pages)
        return self.address.at(page=number) if number else None

    def check_depth(self) -> None:
        """Raise PageTooDeep if page numbers don't reach this page. The error has the address where to go on."""
        if self.number * self.page_size > BOUND:
            raise PageTooDeep(BOUND, self.find_way_on())

    def find_way_on(self) -> str:
        """The address where to go on: the cursor after the last row that page numbers reach, or else the last page.

        It takes at most two queries.
        """
        reach = BOUND // self.page_size * self.page_size
        statement = compile_count(self.rows, BOUND)
        rows = statement.fetch_number() if statement else 0
        # Counted first: searches never have so many rows, so for them this is the only query.
        if self.keyset and rows >= reach:
            bound = self.fetch("bound", lambda: cut_slice(self.reader.rows, self.rows, reach - 1, reach))
            if bound.last:
                return self.address.at(cursor=self.write_cursor(bound.last))
        return self.address.at(page=min(reach // self.page_size, self.count_pages(rows)))

    def count_pages(self, rows: int) -> int:
        return max(1, -(-rows // self.page_size))


def cut_slice(shown: QuerySet[Any], rows: QuerySet[Any], start: int, end: int) -> QuerySet[Any]:
    """A slice of `shown`, which are `rows` with their columns. A slice that skips rows is first found by its keys.

    OFFSET would compute the columns of all rows that it skips: 9,800 rows with their lists took 20 times as long as
    200. `unserved` finds others by their keys.
    """
    steps = find_steps(rows)
    if not start and not steps:
        return require_match(shown)[:end]
    keys = find_keys(rows, steps, start, end) if steps else find_skipping(rows, start, end)
    if keys is None:
        return shown.none()
    page = shown.all()
    # The keys already say which rows are visible, so the filters aren't needed again.
    page.query.where = WhereNode()
    return page.filter(pk__in=keys)


def find_skipping(rows: QuerySet[Any], start: int, end: int) -> RawSQL | None:
    # Compiled on its own: within another queryset Django would rename the table, and the SQL of a rank names it.
    keys = Statement.compile(rows.values("pk")[start:end])
    return None if keys is None else RawSQL(keys.sql, keys.parameters)  # noqa: S611 (SQL that Django compiled)


def join_texts(texts: Sequence[Any]) -> orjson.Fragment:
    """A JSON array of rows that are JSON texts."""
    if texts and isinstance(texts[0], str):
        return orjson.Fragment(f"[{','.join(texts)}]")
    return orjson.Fragment(b"[%b]" % b",".join(texts))
