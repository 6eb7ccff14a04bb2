"""Pagination classes: they give one page of an ordered queryset, and the links to its neighbours.

`KeysetPagination` uses cursors. A page takes the same time at any depth, and a client that follows the links sees each
row exactly once, even if rows are inserted or deleted meanwhile. `PageNumberPagination` lets people jump within the
first 10,000 rows, and each of its pages has the cursor of the next. A damaged cursor raises InvalidCursor. A page past
10,000 rows raises PageTooDeep. DRF's CursorPagination isn't used: it counts an offset among equal values, and so
repeats or loses rows (DRF#7887).

Both are DRF pagination classes, so any generic view may use one as its `pagination_class`. Our viewsets read pages as
JSON texts (`TextReader`); other views get instances for their serializers (`InstanceReader`). Cursors, links, counts
and errors are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from config.api.problems.errors import InvalidParameter
from config.api.reads.beside import find_beside
from config.api.reads.counting import WAYS
from config.api.reads.cursors import find_list_mark
from config.api.reads.envelopes import describe_page_parameters, describe_pages
from config.api.reads.list_plans import Address, KeysetPlan, ListPlan, NumberPlan
from config.api.reads.orderings import Keyset, NotByColumns, find_keyset, order_totally
from config.api.reads.parameters import read_choice, read_number
from config.api.reads.readers import InstanceReader, Reader
from config.api.rendering.pager import Pager

if TYPE_CHECKING:
    # APIView itself imports this module, by the settings.
    from rest_framework.views import APIView

PAGE_SIZE = 50
GREATEST_PAGE_SIZE = 200


class ListPagination(BasePagination):
    """The base of both classes. A request with `page` or `cursor` chooses the kind; without both, the class decides.

    `page_size` is the number of rows if the request names none. `max_page_size` is the most that it may ask for.
    """

    page_size = PAGE_SIZE
    max_page_size = GREATEST_PAGE_SIZE
    parameters = ("page", "page_size", "cursor", "count")
    is_numbered: bool

    # Schemas of members that a page may have beside the rows: `show_beside` gives them.
    beside: ClassVar[Mapping[str, Any]] = {}

    pager: Pager | None = None

    def plan(self, rows: QuerySet[Any], reader: Reader, request: Request) -> ListPlan:
        """The plan for `request`. `rows` must have a total order; `reader` reads them."""
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
            detail = f"Results ordered by {order} have only page numbers."
            raise InvalidParameter("cursor", detail, "Use page, or an ordering.") from None
        return KeysetPlan(rows, reader, keyset, **self.read_parts(request, rows, keyset, "none"))

    def plan_numbers(self, rows: QuerySet[Any], reader: Reader, request: Request) -> NumberPlan:
        number = read_number(request.query_params, "page", 1, 1, 10**9)
        keyset = find_keyset(rows)
        plan = NumberPlan(rows, reader, keyset, **self.read_parts(request, rows, keyset, "bounded"), number=number)
        plan.check_depth()
        return plan

    def read_parts(
        self, request: Request, rows: QuerySet[Any], keyset: Keyset | None, default_count: str
    ) -> dict[str, Any]:
        query = request.query_params
        return {
            "address": Address.of(request),
            "mark": find_list_mark(request, keyset) if keyset else "",
            "page_size": read_number(query, "page_size", self.page_size, 1, self.max_page_size),
            "count_way": read_choice(query, "count", WAYS) or default_count,
            "beside": find_beside(rows),
        }

    # -- DRF's own interface, for views that show instances

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        """The instances of the page that `request` asks for. It takes one query, and one more for a count."""
        rows = order_totally(queryset)
        self.envelope = self.plan(rows, InstanceReader(rows), request).read(request.query_params.get("cursor"))
        self.pager = Pager.of(self.envelope.links, view, request)
        return list(self.envelope.page.rows)

    def get_paginated_response(self, data: Any) -> Response:
        members = {"results": data, **self.envelope.links, **self.envelope.beside}
        return Response(members, headers=self.envelope.headers)

    def get_results(self, data: Mapping[str, Any]) -> Any:
        return data["results"]

    @property
    def display_page_controls(self) -> bool:  # type: ignore[override]  # known once there is a page
        return self.pager is not None

    def to_html(self) -> str:
        return self.pager.to_html() if self.pager else ""

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return describe_pages(schema, self.max_page_size, dict(self.beside))

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        described = describe_page_parameters(self.page_size, self.max_page_size)
        return [{"name": name, "in": "query"} | described[name] for name in self.parameters]


class KeysetPagination(ListPagination):
    """`{"results", "next", "previous", "next_cursor"}`, and `count` and `count_relation` if `count` is given.

    For programs: every page costs the same as the first one, and each row is seen once, even if rows are inserted or
    deleted meanwhile. A client can't jump to page 7.
    """

    is_numbered = False


class PageNumberPagination(ListPagination):
    """`{"results", "page", "page_size", "pages", "count", "count_relation", "next", "previous", "next_cursor"}`.

    For people, who want to jump and to see the number of rows. OFFSET reads every row that it skips, and a row may move
    from page to page while others write. So page numbers end at 10,000 rows; `next_cursor` has neither problem.
    """

    is_numbered = True
