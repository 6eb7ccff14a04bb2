"""Pages of the change log. A cursor is a position in the log, so it never expires and fits any filter.

The feed goes forward, a product's history backward. Neither has a link to the previous page.
"""

from typing import Any

from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from catalog.changes.feed import Bounds
from catalog.changes.log import number_changes
from catalog.changes.models import Change
from config.api.reads.filtering import read_moment
from config.api.reads.pagination import GREATEST_PAGE_SIZE, PAGE_SIZE
from config.api.reads.parameters import read_number

GREATEST_CURSOR = 10**12 - 1
# A row of the feed is small, and partners read all of it.
GREATEST_FEED_PAGE = 1_000
CURSOR_HEADER = "X-Changes-Cursor"


class LogPagination(BasePagination):
    """`{"results", "next", "previous", "next_cursor"}`; `previous` is always null."""

    page_size = PAGE_SIZE
    max_page_size = GREATEST_PAGE_SIZE
    # The name of the parameter that takes a cursor.
    cursor_parameter: str

    request: Request
    # The cursor after this page, and whether more changes follow it.
    cursor: str | None
    has_more: bool

    def read_size(self, request: Request) -> int:
        return read_number(request.query_params, "page_size", self.page_size, 1, self.max_page_size)

    def read_cursor(self, request: Request) -> int | None:
        query = request.query_params
        return (
            read_number(query, self.cursor_parameter, 0, 0, GREATEST_CURSOR) if self.cursor_parameter in query else None
        )

    def get_paginated_response(self, data: Any) -> Response:
        url = self.request.build_absolute_uri()
        following = replace_query_param(url, self.cursor_parameter, self.cursor) if self.has_more else None
        links = {"next": following, "previous": None, "next_cursor": self.cursor}
        headers = {"Link": f'<{following}>; rel="next"'} if following else {}
        return Response({"results": data, **links}, headers=headers | self.headers)

    @property
    def headers(self) -> dict[str, str]:
        return {}


class FeedPagination(LogPagination):
    """Changes in the order in which they became visible. A page may be empty and still have a next one."""

    cursor_parameter = "after"
    max_page_size = GREATEST_FEED_PAGE

    def begin(self, request: Request) -> None:
        """Reads the log's bounds: one query, and on PostgreSQL one more that first numbers committed changes."""
        self.request = request
        self.size, self.after = self.read_size(request), self.read_cursor(request)
        number_changes()
        self.bounds = Bounds.read()

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        """Raises ChangesGone if the log no longer reaches back to the cursor. One query after those of `begin`."""
        self.begin(request)
        after = self.bounds.find_start(read_moment(request.query_params, "since")) if self.after is None else self.after
        self.bounds.check(after)
        end = self.bounds.find_end(after)
        rows = queryset.filter(position__gt=after, position__lte=end).order_by("position")
        found = list(rows[: self.size + 1])
        page = found[: self.size]
        cursor = page[-1].position if len(found) > self.size else end
        self.cursor, self.has_more = str(cursor), cursor < self.bounds.newest
        return page

    @property
    def headers(self) -> dict[str, str]:
        return {CURSOR_HEADER: str(self.bounds.newest)}


class HistoryPagination(LogPagination):
    """The positions of changes, newest first. The last page has no cursor."""

    cursor_parameter = "cursor"

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        self.request, size, before = request, self.read_size(request), self.read_cursor(request)
        number_changes()
        rows: QuerySet[Change] = queryset.filter(position__lt=GREATEST_CURSOR if before is None else before)
        found = list(rows.order_by("-position").values_list("position", flat=True)[: size + 1])
        self.has_more = len(found) > size
        self.cursor = str(found[size - 1]) if self.has_more else None
        return found[:size]
