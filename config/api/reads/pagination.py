"""An ordered queryset in, one page and its links out; it reads at most one row past the page.

`KeysetPagination` uses cursors. A page takes the same time at any depth, and a client that follows the links sees each
row exactly once, whatever is inserted or deleted meanwhile. `PageNumberPagination` lets people jump within the first
10,000 rows; each of its pages has the cursor to go on with. A broken cursor raises InvalidCursor, a page past 10,000
rows PageTooDeep. DRF's CursorPagination isn't used: among equal values it counts an offset, and repeats or loses rows
(DRF#7887).

Both are pagination classes of DRF's: any generic view may name one as its `pagination_class`. A viewset of ours reads
its pages as JSON texts (`Texts`), any other view as instances for its serializer (`Instances`). Cursors, links, counts
and errors are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from hashlib import blake2b
from time import perf_counter
from typing import Any, ClassVar, Protocol
from urllib.parse import quote, urlencode
from uuid import UUID

import orjson
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer, b64_encode
from django.db.models import Expression, F, Field, QuerySet, Value
from django.db.models.fields.tuple_lookups import (
    Tuple,
    TupleGreaterThan,
    TupleGreaterThanOrEqual,
    TupleLessThan,
    TupleLessThanOrEqual,
)
from django.utils.duration import duration_string
from django.utils.encoding import force_bytes
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from config.api.database.statements import Given, Page, Statement
from config.api.problems.errors import InvalidCursor, InvalidParameter, PageTooDeep
from config.api.reads.conditional import make_etag
from config.api.reads.counting import (
    BOUND,
    WAYS,
    Count,
    CountUpTo,
    compile_count,
    count_at_most,
    estimate_rows,
    name_count,
)
from config.api.reads.envelopes import describe_page_parameters, describe_pages
from config.api.reads.orderings import Keyset, NotByColumns, find_keyset, order_totally
from config.api.reads.parameters import read_choice, read_number
from config.api.reads.plans import Reply
from config.api.rendering.pager import Pager
from config.api.rendering.renderers import write_json

PAGE_SIZE = 50
GREATEST_PAGE_SIZE = 200

SALT = "config.api.pagination"

# A cursor doesn't depend on these parameters: a client may change them from page to page.
UNBOUND = frozenset({"cursor", "page", "page_size", "count", "fields", "omit", "expand"})


@dataclass(frozen=True)
class CursorPosition:
    """A place in a list: after the row with these values (before it if `backward`), or at it if `inclusive`."""

    values: tuple[Any, ...]
    backward: bool = False
    inclusive: bool = False

    def narrow(self, rows: QuerySet[Any], keyset: Keyset, values: Sequence[Expression]) -> QuerySet[Any]:
        """The rows after the position, or before it; `values` are expressions for the position's own values."""
        # WHERE (a, id) < (x, y) ORDER BY a DESC, id DESC: one range of the index. Spelled out as
        # (a < x OR (a = x AND id < y)) it is none: 2,404 ms against 0.24 at row 1.9 M.
        below = keyset.descending != self.backward
        compare = {
            (True, False): TupleLessThan,
            (True, True): TupleLessThanOrEqual,
            (False, False): TupleGreaterThan,
            (False, True): TupleGreaterThanOrEqual,
        }[below, self.inclusive]
        columns = Tuple(*(F(name) for name in keyset.names))
        return rows.filter(compare(columns, tuple(values))).order_by(*keyset.order(self.backward))


# -- cursors ----------------------------------------------------------------------------------------------------


def list_parameters(request: Request) -> Iterator[tuple[str, str]]:
    """Each name and value of the query string; views other than ours may accept a name several times."""
    for name, values in request.query_params.lists():
        yield from ((name, value) for value in values)


def find_list_mark(request: Request, keyset: Keyset) -> str:
    """A digest of the route, the filters and the ordering, to which a cursor is bound."""
    filters = sorted(item for item in list_parameters(request) if item[0] not in UNBOUND and item[1])
    text = repr((request.path, filters, keyset))
    return blake2b(text.encode(), digest_size=8).hexdigest()


class CursorSigner(Signer):
    """Django's Signer with one keyed BLAKE2 (RFC 7693) in place of two hashes: 4 microseconds, where Django takes 12.

    A dot separates value and signature, so that an address needs no encoding.
    """

    def signature(self, value: str | bytes, key: str | bytes | None = None) -> str:
        return b64_encode(
            blake2b(force_bytes(value), key=_derive_key(key or self.key), digest_size=16).digest()
        ).decode()


@lru_cache(maxsize=8)
def _derive_key(secret: str | bytes) -> bytes:
    return blake2b(force_bytes(secret), person=b"tenfold cursor", digest_size=32).digest()


@lru_cache(maxsize=8)
def _make_signer(key: str, fallbacks: tuple[str, ...]) -> CursorSigner:
    return CursorSigner(key=key, fallback_keys=list(fallbacks), salt=SALT, sep=".")


def open_signer() -> CursorSigner:
    return _make_signer(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS))


def write_cursor(position: CursorPosition, mark: str) -> str:
    values = [_write_value(value) for value in position.values]
    return open_signer().sign_object([mark, values, int(position.backward), int(position.inclusive)])


def read_cursor(text: str, mark: str, fields: Sequence[Field[Any, Any]]) -> CursorPosition:
    """The position in `text`; InvalidCursor if it is damaged, or from another list than the one of `mark`."""
    try:
        found, values, backward, inclusive = open_signer().unsign_object(text)
        if found != mark or len(values) != len(fields):
            raise InvalidCursor
        typed = tuple(field.to_python(value) for field, value in zip(fields, values, strict=True))
    except (BadSignature, ValidationError, ValueError, TypeError) as error:
        raise InvalidCursor from error
    return CursorPosition(typed, bool(backward), bool(inclusive))


def _write_value(value: Any) -> Any:
    """A value as JSON can hold it exactly: times to the microsecond, decimals with all digits."""
    match value:
        case date() | time():  # datetime is a date, too
            return value.isoformat()
        case timedelta():
            return duration_string(value)
        case Decimal() | UUID():
            return str(value)
    return value


# -- reading ----------------------------------------------------------------------------------------------------

# The column of the bounded count.
COUNTED = "rows_counted"


class Reader(Protocol):
    """Reads the rows of a page, as JSON texts or as instances."""

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
class Texts:
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
class Instances:
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


# -- pages ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Address:
    """A list's URL without the parameters `page` and `cursor`."""

    path: str
    query: str

    @classmethod
    def of(cls, request: Request) -> Address:
        query = sorted(item for item in list_parameters(request) if item[0] not in ("page", "cursor"))
        return cls(request.build_absolute_uri(request.path), urlencode(query))

    def at(self, **place: Any) -> str:
        parts = (self.query, *(f"{name}={quote(str(value))}" for name, value in place.items()))
        return f"{self.path}?{'&'.join(part for part in parts if part)}"


@dataclass(frozen=True)
class Answer:
    """A page with its envelope; `links` are the envelope's members beside the rows."""

    page: Page
    links: Mapping[str, Any]

    @property
    def members(self) -> dict[str, Any]:
        """The envelope, for a page of JSON texts."""
        return {"results": join_texts(self.page.rows), **self.links}

    @property
    def headers(self) -> dict[str, str]:
        pairs = (("next", self.links["next"]), ("prev", self.links["previous"]))
        links = ", ".join(f'<{url}>; rel="{name}"' for name, url in pairs if url)
        return {"Link": links} if links else {}


@dataclass(frozen=True)
class ListPlan:
    """How to read a list with these parameters, whatever the cursor; it may be cached and read again."""

    rows: QuerySet[Any]
    reader: Reader
    keyset: Keyset | None
    address: Address
    mark: str
    page_size: int
    count_way: str
    counters: dict[str, Statement | None] = field(default_factory=dict)

    def read(self, cursor: str | None) -> Answer:
        raise NotImplementedError

    def reply(self, cursor: str | None) -> Reply:
        """The page as JSON, for a plan whose rows are JSON texts."""
        answer, began = self.read(cursor), perf_counter()
        body = write_json(answer.members)
        return Reply(body, {**answer.headers, "ETag": make_etag(body)}, perf_counter() - began, len(answer.page.rows))

    def fetch(self, name: Any, rows: Callable[[], QuerySet[Any]], values: Sequence[Any] = ()) -> Page:
        return self.reader.fetch(name, rows, self.page_size, self.keyset, values)

    @property
    def counted(self) -> QuerySet[Any]:
        """The rows; if a bounded count is wanted, it is their last column, so that both take one round trip."""
        if self.count_way != "bounded" or not self.reader.counts_along:
            return self.reader.rows
        return self.reader.rows.annotate(**{COUNTED: CountUpTo(self.rows, BOUND)})

    def count(self, page: Page) -> Count | None:
        """The count that the request wants; None for `count=none`."""
        if self.count_way in ("none", "estimated"):
            return estimate_rows(self.rows) if self.count_way == "estimated" else None
        most = BOUND if self.count_way == "bounded" else None
        if most and page.rows and self.reader.counts_along:
            return name_count(page.first[-1], most)
        if "count" not in self.counters:
            self.counters["count"] = compile_count(self.rows, most)
        statement = self.counters["count"]
        return name_count(statement.fetch_number() if statement else 0, most)

    def write_cursor(self, values: Sequence[Any], backward: bool = False, inclusive: bool = False) -> str | None:
        if self.keyset is None:
            return None
        # The count may follow the values that order the row.
        return write_cursor(CursorPosition(tuple(values)[: len(self.keyset.names)], backward, inclusive), self.mark)


class KeysetPlan(ListPlan):
    def read(self, cursor: str | None) -> Answer:
        position = read_cursor(cursor, self.mark, self.fields) if cursor else None
        page = self.fetch_at(position)
        following, previous = self.find_next(position, page), self.find_previous(position, page)
        links: dict[str, Any] = {
            "next": self.address.at(cursor=following) if following else None,
            "previous": self.address.at(cursor=previous) if previous else None,
            "next_cursor": following,
        }
        if count := self.count(page):
            links |= {"count": count[0], "count_relation": count[1]}
        return Answer(page, links)

    @cached_property
    def fields(self) -> Sequence[Field[Any, Any]]:
        assert self.keyset is not None  # ListPagination refuses others
        return self.keyset.find_fields(self.rows.model)

    def fetch_at(self, position: CursorPosition | None) -> Page:
        """The page at the position, in the list's order, also if it was read backward."""
        if position is None:
            return self.fetch("first", lambda: self.counted[: self.page_size + 1])
        way = (position.backward, position.inclusive)
        page = self.fetch(way, lambda: self.narrow(position)[: self.page_size + 1], position.values)
        if not position.backward:
            return page
        return Page(page.rows[::-1], page.has_more, page.last, page.first)

    def narrow(self, position: CursorPosition) -> QuerySet[Any]:
        assert self.keyset is not None  # ListPagination refuses others
        return position.narrow(self.counted, self.keyset, self.reader.bind(self.fields, position.values))

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
    number: int = 1

    def read(self, cursor: str | None) -> Answer:
        start = (self.number - 1) * self.page_size
        page = self.fetch("page", lambda: self.counted[start : start + self.page_size + 1])
        count, relation = self.count_from(start, page) or (None, None)
        after = self.write_cursor(page.last) if page.has_more else None
        pages = None if count is None else self.count_pages(count)
        known = pages if relation == "eq" else None
        return Answer(
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
        )

    def count_from(self, start: int, page: Page) -> Count | None:
        """The count; the last page tells it without a query."""
        is_last = not page.has_more and (page.rows or start == 0)
        return (start + len(page.rows), "eq") if is_last and self.count_way != "none" else self.count(page)

    def find_next(self, after: str | None) -> str | None:
        # After the deepest page number the list goes on by cursor only.
        if (self.number + 1) * self.page_size <= BOUND:
            return self.address.at(page=self.number + 1)
        return self.address.at(cursor=after) if after else None

    def find_previous(self, page: Page, pages: int | None) -> str | None:
        """The page before; from a page past the end it is the last page, if the count is known."""
        number = self.number - 1
        if not page.rows and pages is not None:
            number = min(number, pages)
        return self.address.at(page=number) if number else None

    def find_way_on(self) -> str:
        """The address to go on at: by cursor from the last row that page numbers reach; without one, the last page.

        At most two queries.
        """
        reach = BOUND // self.page_size * self.page_size
        last = self.fetch("bound", lambda: self.reader.rows[reach - 1 : reach]).last if self.keyset else ()
        if last:
            return self.address.at(cursor=self.write_cursor(last))
        return self.address.at(page=min(reach // self.page_size, self.count_pages(count_at_most(self.rows, BOUND))))

    def count_pages(self, rows: int) -> int:
        return max(1, -(-rows // self.page_size))


def join_texts(texts: Sequence[Any]) -> orjson.Fragment:
    """A JSON array of rows that are JSON texts."""
    if texts and isinstance(texts[0], str):
        return orjson.Fragment(f"[{','.join(texts)}]")
    return orjson.Fragment(b"[%b]" % b",".join(texts))


class ListPagination(BasePagination):
    """The base of both classes. A request may choose by `page` or `cursor`; without either, the class decides."""

    page_size = PAGE_SIZE
    max_page_size = GREATEST_PAGE_SIZE
    parameters = ("page", "page_size", "cursor", "count")
    is_numbered: bool

    pager: Pager | None = None

    def plan(self, rows: QuerySet[Any], reader: Reader, request: Request) -> ListPlan:
        """The plan for what `request` asks; `rows` have a total order, and `reader` reads them."""
        query = request.query_params
        if "page" in query and "cursor" in query:
            raise InvalidParameter("cursor", "A list is read by page or by cursor, not both.", "Leave one of them out.")
        if "page" in query or (self.is_numbered and "cursor" not in query):
            return self.plan_numbers(rows, reader, request)
        return self.plan_cursors(rows, reader, request)

    def plan_cursors(self, rows: QuerySet[Any], reader: Reader, request: Request) -> KeysetPlan:
        try:
            keyset = Keyset.of(rows)
        except NotByColumns as order:
            detail = f"Results by {order} have page numbers only."
            raise InvalidParameter("cursor", detail, "Use page, or an ordering.") from None
        return KeysetPlan(rows, reader, keyset, **self.read_parts(request, keyset, "none"))

    def plan_numbers(self, rows: QuerySet[Any], reader: Reader, request: Request) -> NumberPlan:
        number = read_number(request.query_params, "page", 1, 1, 10**9)
        keyset = find_keyset(rows)
        plan = NumberPlan(rows, reader, keyset, **self.read_parts(request, keyset, "bounded"), number=number)
        if number * plan.page_size > BOUND:
            raise PageTooDeep(BOUND, plan.find_way_on())
        return plan

    def read_parts(self, request: Request, keyset: Keyset | None, default_count: str) -> dict[str, Any]:
        query = request.query_params
        return {
            "address": Address.of(request),
            "mark": find_list_mark(request, keyset) if keyset else "",
            "page_size": read_number(query, "page_size", self.page_size, 1, self.max_page_size),
            "count_way": read_choice(query, "count", WAYS) or default_count,
        }

    # -- DRF's own interface, for views that show instances

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """The instances of the page that `request` asks for: one query, and another one if it wants a count."""
        rows = order_totally(queryset)
        self.answer = self.plan(rows, Instances(rows), request).read(request.query_params.get("cursor"))
        self.pager = Pager.of(self.answer.links, view, request)
        return list(self.answer.page.rows)

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, **self.answer.links}, headers=self.answer.headers)

    def get_results(self, data: Mapping[str, Any]) -> Any:
        return data["results"]

    @property
    def display_page_controls(self) -> bool:  # type: ignore[override]  # known once there is a page
        return self.pager is not None

    def to_html(self) -> str:
        return self.pager.to_html() if self.pager else ""

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return describe_pages(schema, self.max_page_size)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        described = describe_page_parameters(self.page_size, self.max_page_size)
        return [{"name": name, "in": "query"} | described[name] for name in self.parameters]


class KeysetPagination(ListPagination):
    """`{"results", "next", "previous", "next_cursor"}`; with `count`, the count's two members, too.

    For programs: every page costs the same as the first one, and each row is seen once while others are inserted and
    deleted. Nobody can jump to page 7.
    """

    is_numbered = False


class PageNumberPagination(ListPagination):
    """`{"results", "page", "page_size", "pages", "count", "count_relation", "next", "previous", "next_cursor"}`.

    For people, who want to jump, and to know how many rows there are. OFFSET reads every row that it skips, and a row
    may move between pages while others write, so page numbers end at 10,000 rows; `next_cursor` has neither fault.
    """

    is_numbered = True
