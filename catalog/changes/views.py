"""The change log's endpoints: the feed for partners, and the history of a product for staff."""

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any

from django.http import Http404, StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import (
    CharField,
    ChoiceField,
    DateTimeField,
    DictField,
    IntegerField,
    Serializer,
    URLField,
)

from catalog.changes.entities import list_entities
from catalog.changes.feed import Wanted, describe, select_changes
from catalog.changes.history import describe_changes
from catalog.changes.models import Change
from catalog.changes.pages import CURSOR_HEADER, GREATEST_CURSOR, GREATEST_FEED_PAGE, FeedPagination, HistoryPagination
from catalog.models import Product
from catalog.rights import EXPORT
from config.api.access.permissions import HasRight, ModelPermissions
from config.api.access.privacy import PrivateMixin
from config.api.access.scopes import CHANGES
from config.api.database.authorship import name_caller
from config.api.database.replicas import check_least
from config.api.freshness.leases import FRESHNESS
from config.api.problems.errors import InvalidParameter
from config.api.problems.near import suggest
from config.api.reads.filtering import read_moment
from config.api.reads.pagination import GREATEST_PAGE_SIZE, PAGE_SIZE
from config.api.reads.parameters import check_parameters, read_names
from config.api.rendering.renderers import JSONRenderer

# Every cache knows of a change that is older than this.
HEARD_AFTER = timedelta(seconds=10)

# Of two forms generators make a type that doesn't exist.
MOMENT = {"type": "string", "format": "date-time"}
AGO = "RFC 3339, or so long ago: `-90s`, `-15m`, `-12h`, `-7d`, `-2w`."
MEMBERS = ("position", "entity", "entity_id", "op", "version", "at", "sku")
FEED_PARAMETERS = [
    OpenApiParameter(
        "after",
        {"type": "integer", "minimum": 0, "maximum": GREATEST_CURSOR},
        description="`next_cursor` of the previous page. Without it, the feed begins at the oldest kept change.",
    ),
    OpenApiParameter("since", MOMENT, description=f"Changes made at or after this time. {AGO}"),
    OpenApiParameter("until", MOMENT, description=f"Changes made before this time; it isn't included. {AGO}"),
    OpenApiParameter(
        "entity",
        {"type": "array", "items": {"type": "string", "enum": list(list_entities())}},
        style="form",
        explode=False,
        description="Only changes of these entities, comma-separated.",
    ),
    OpenApiParameter(
        "page_size",
        {"type": "integer", "minimum": 1, "maximum": GREATEST_FEED_PAGE, "default": PAGE_SIZE},
        description="Changes a page.",
    ),
    OpenApiParameter(
        "fields",
        {"type": "array", "items": {"type": "string", "enum": list(MEMBERS)}},
        style="form",
        explode=False,
        description="Nothing but these members.",
    ),
]


class ChangeRead(Serializer[Change]):
    """`{"position": 1042, "entity": "variant", "entity_id": 7, "op": "update", "version": 3, "at": …, "sku": …}`"""

    position = IntegerField(help_text="The cursor after this change.")
    entity = CharField(help_text=f"{', '.join(list_entities())}; a later release may log more.")
    entity_id = IntegerField(help_text="The row's id; for a text, its product's id.")
    op = ChoiceField(choices=[choice for choice in Change.Op.choices if choice[0] != Change.Op.TRUNCATE])
    version = IntegerField(allow_null=True, help_text="The row's version after the change; null for rows without one.")
    at = DateTimeField(help_text="When the change was made. Not in order: positions follow the commits.")
    sku = CharField(allow_null=True, help_text="SKU of the product or the variant; an order's number.")


class FeedRead(Serializer[Any]):
    """A page of the feed."""

    results = ChangeRead(many=True)
    next = URLField(allow_null=True, help_text="The next page; null if there are no more changes now.")
    previous = URLField(allow_null=True, help_text="Always null: a feed goes forward.")
    next_cursor = CharField(help_text="`after` for the next request, also if `next` is null.")


class LogView(PrivateMixin, GenericAPIView[Any]):
    """Base of both views: the answer is never cached, and the log line names the caller."""

    queryset = Change.objects.none()
    scope = CHANGES

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        check_least(request.headers)
        name_caller(request)


class ChangeFeed(LogView):
    """Follow the changes: every create, update and delete after a cursor, each exactly once.

    Ask again with `after=next_cursor` as often as you like, and read a changed row at its own address. A page may have
    fewer changes than `page_size`, even none, and still have a `next`. HEAD gives only the newest cursor, in
    `X-Changes-Cursor`: read it before a full export, and follow from it afterwards. If the caller may see only active
    products, a product that isn't active appears as a delete. This delete includes all that belongs to the product.
    """

    # A caller who may export the whole table may also see what changes in it.
    right = EXPORT
    permission_classes = (HasRight,)
    refusals = (HTTPStatus.GONE,)
    answer_headers = ("Link", CURSOR_HEADER)

    pagination_class = FeedPagination

    @extend_schema(operation_id="list_changes", parameters=FEED_PARAMETERS, responses=FeedRead)
    def get(self, request: Request) -> Response:
        wanted = self.read_wanted()
        rows = select_changes(wanted, request.user)
        page: list[Change] = self.paginator.paginate_queryset(rows, request, self)
        let_caches_hear(page)
        names = read_members(request.query_params)
        described = [describe(change) for change in page]
        return self.get_paginated_response([{name: row[name] for name in names} for row in described])

    def head(self, request: Request) -> StreamingHttpResponse:
        """The newest cursor. A stream, so that it has no Content-Length of 0."""
        self.read_wanted()
        self.paginator.begin(request)
        return StreamingHttpResponse((), content_type=JSONRenderer.media_type, headers=self.paginator.headers)

    @cached_property
    def paginator(self) -> FeedPagination:
        return FeedPagination()

    def read_wanted(self) -> Wanted:
        query = self.request.query_params
        check_parameters(query, {parameter.name for parameter in FEED_PARAMETERS}, lists=("entity", "fields"))
        read_members(query)
        return Wanted(read_moment(query, "since"), read_moment(query, "until"), read_entities(query))


def let_caches_hear(changes: Sequence[Change]) -> None:
    """Waits until no cache has an answer from before these changes: clients read the named rows next."""
    # Two clocks are compared, and they may differ by seconds.
    if changes and timezone.now() - changes[-1].numbered_at < HEARD_AFTER:
        FRESHNESS.wait_out(time.monotonic())


def read_members(query: Any) -> Sequence[str]:
    """The members that `fields` asks for, in the order of a row; all of them without it."""
    asked = read_names(query, "fields")
    for name in asked:
        if name not in MEMBERS:
            raise InvalidParameter("fields", f"{name!r} is not known here.", suggest(name, MEMBERS))
    return [name for name in MEMBERS if name in asked or not asked]


def read_entities(query: Any) -> list[str]:
    names = read_names(query, "entity")
    check_entities(names)
    return names


def check_entities(names: Iterable[str]) -> None:
    for name in names:
        if name not in list_entities():
            raise InvalidParameter("entity", f"{name!r} is not a known entity.", suggest(name, list_entities()))


# -- history -----------------------------------------------------------------------------------------------------

HISTORY_PARAMETERS = [
    OpenApiParameter(
        "cursor",
        {"type": "integer", "minimum": 0, "maximum": GREATEST_CURSOR},
        description="`next_cursor` of the previous page.",
    ),
    OpenApiParameter(
        "page_size",
        {"type": "integer", "minimum": 1, "maximum": GREATEST_PAGE_SIZE, "default": PAGE_SIZE},
        description="Changes a page.",
    ),
]


class MayAudit(ModelPermissions):
    """Needs the permissions to view changes and products: a history shows drafts, and who changed what."""

    def get_required_permissions(self, method: str, model_cls: Any) -> list[str]:
        return [*super().get_required_permissions(method, model_cls), "catalog.view_product"]


class HistoryRead(ChangeRead):
    """`{…, "actor": "user:7", "before": {"price": "4.50"}, "after": {"price": "5.00"}}`"""

    actor = CharField(help_text="`user:ID`; `role:NAME` of the database if another program wrote it.")
    request_id = CharField(help_text="The request that made the change; empty if none did.")
    before = DictField(allow_null=True, help_text="The columns that differ, or the deleted row; null for an import.")
    after = DictField(allow_null=True, help_text="The same columns after the change, or the new row.")

    def get_fields(self) -> Any:
        fields = super().get_fields()
        del fields["sku"]
        return fields


class HistoryPage(Serializer[Any]):
    """A page of a history, newest change first."""

    results = HistoryRead(many=True)
    next = URLField(allow_null=True, help_text="The page with older changes; null on the last page.")
    previous = URLField(allow_null=True, help_text="Always null: a history is read backwards.")
    next_cursor = CharField(allow_null=True, help_text="`cursor` for that page.")


class ProductHistory(LogView):
    """Who changed what in a product and all that belongs to it, when, and in which request; newest first.

    A deleted product still has its history for as long as the log is kept.
    """

    permission_classes = (MayAudit,)
    answer_headers = ("Link",)

    pagination_class = HistoryPagination

    @extend_schema(operation_id="list_product_history", parameters=HISTORY_PARAMETERS, responses=HistoryPage)
    def get(self, request: Request, product: str) -> Response:
        check_parameters(request.query_params, {parameter.name for parameter in HISTORY_PARAMETERS})
        page: Any = self.paginate_queryset(Change.objects.filter(product_id=int(product)))
        if not page and "cursor" not in request.query_params and not Product.objects.filter(pk=product).exists():
            raise Http404
        return self.get_paginated_response(describe_changes(page))
