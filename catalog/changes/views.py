"""The change log's endpoints: the feed for partners, and the history of a product for staff."""

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any

from django.http import Http404
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
from catalog.changes.pages import CURSOR_HEADER, GREATEST_CURSOR, FeedPagination, HistoryPagination
from catalog.models import Change, Product
from catalog.rights import EXPORT
from config.api.access.permissions import HasRight, ModelPermissions
from config.api.access.privacy import PrivateMixin
from config.api.access.scopes import CHANGES
from config.api.database.authorship import name_caller
from config.api.freshness.leases import FRESHNESS
from config.api.problems.errors import InvalidParameter, suggest
from config.api.reads.filtering import read_moment
from config.api.reads.pagination import GREATEST_PAGE_SIZE, PAGE_SIZE
from config.api.reads.parameters import check_parameters, read_names

# Later than that every cache has heard of a change.
HEARD_AFTER = timedelta(seconds=10)

MOMENT = {"type": "string", "format": "date-time"}
FEED_PARAMETERS = [
    OpenApiParameter(
        "after",
        {"type": "integer", "minimum": 0, "maximum": GREATEST_CURSOR},
        description="`next_cursor` of the page before; without it, from the oldest change that is kept.",
    ),
    OpenApiParameter("since", MOMENT, description="Changes made at or after this time."),
    OpenApiParameter("until", MOMENT, description="Changes made before this time."),
    OpenApiParameter(
        "entity",
        {"type": "array", "items": {"type": "string", "enum": list(list_entities())}},
        style="form",
        explode=False,
        description="Changes of these entities alone, comma-separated.",
    ),
    OpenApiParameter(
        "page_size",
        {"type": "integer", "minimum": 1, "maximum": GREATEST_PAGE_SIZE, "default": PAGE_SIZE},
        description="Changes a page.",
    ),
]


class ChangeRead(Serializer[Change]):
    """`{"position": 1042, "entity": "variant", "entity_id": 7, "op": "update", "version": 3, "at": …, "sku": …}`"""

    position = IntegerField(help_text="The cursor behind this change.")
    entity = CharField(help_text=f"{', '.join(list_entities())}; a later release may log more.")
    entity_id = IntegerField(help_text="The row's id; a text has its product's.")
    op = ChoiceField(choices=[choice for choice in Change.Op.choices if choice[0] != Change.Op.TRUNCATE])
    version = IntegerField(allow_null=True, help_text="After the change; null for rows that count none.")
    at = DateTimeField(help_text="When it was made; not in order, since positions follow the commits.")
    sku = CharField(allow_null=True, help_text="Of the product, the variant or the stock's variant.")


class FeedRead(Serializer[Any]):
    """A page of the feed."""

    results = ChangeRead(many=True)
    next = URLField(allow_null=True, help_text="The next page; null where there is nothing more now.")
    previous = URLField(allow_null=True, help_text="Always null: a feed goes forward.")
    next_cursor = CharField(help_text="`after` of the next request, also once `next` is null.")


class LogView(PrivateMixin, GenericAPIView[Any]):
    """What both share: nobody keeps the answer, and the log line names the caller."""

    queryset = Change.objects.none()
    scope = CHANGES

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        name_caller(request)


class ChangeFeed(LogView):
    """Follow the changes: every create, update and delete since a cursor, once, none left out.

    Ask again with `after=next_cursor` as often as you like; a row that changed is read at its own address. A page may
    hold fewer changes than asked for, even none, while `next` leads on. HEAD gives the newest cursor alone, in
    `X-Changes-Cursor`: take it before a full export, and follow from it afterwards. For a caller who sees active
    products only, one that isn't is a delete, which stands for all that belongs to it.
    """

    # Who may take the whole table away may hear what changes in it.
    right = EXPORT
    permission_classes = (HasRight,)
    refusals = (HTTPStatus.GONE,)
    answer_headers = ("Link", CURSOR_HEADER)

    pagination_class = FeedPagination

    @extend_schema(operation_id="changes_list", parameters=FEED_PARAMETERS, responses=FeedRead)
    def get(self, request: Request) -> Response:
        wanted = self.read_wanted()
        rows = select_changes(wanted, sees_all=request.user.has_perm("catalog.view_product"))
        page: list[Change] = self.paginator.paginate_queryset(rows, request, self)
        let_caches_hear(page)
        return self.get_paginated_response([describe(change) for change in page])

    def head(self, request: Request) -> Response:
        self.read_wanted()
        self.paginator.begin(request)
        return Response(headers=self.paginator.headers)

    @cached_property
    def paginator(self) -> FeedPagination:
        return FeedPagination()

    def read_wanted(self) -> Wanted:
        query = self.request.query_params
        check_parameters(query, {parameter.name for parameter in FEED_PARAMETERS})
        return Wanted(read_moment(query, "since"), read_moment(query, "until"), read_entities(query))


def let_caches_hear(changes: Sequence[Change]) -> None:
    """Whoever reads a row because the feed names it gets the row as it is now, from the cache too."""
    # By two clocks, which may differ by seconds.
    if changes and timezone.now() - changes[-1].numbered_at < HEARD_AFTER:
        FRESHNESS.wait_out(time.monotonic())


def read_entities(query: Any) -> list[str]:
    names = read_names(query, "entity")
    check_entities(names)
    return names


def check_entities(names: Iterable[str]) -> None:
    for name in names:
        if name not in list_entities():
            raise InvalidParameter("entity", f"{name!r} is not known here.", suggest(name, list_entities()))


# -- history -----------------------------------------------------------------------------------------------------

HISTORY_PARAMETERS = [
    OpenApiParameter(
        "cursor",
        {"type": "integer", "minimum": 0, "maximum": GREATEST_CURSOR},
        description="`next_cursor` of the page before.",
    ),
    OpenApiParameter(
        "page_size",
        {"type": "integer", "minimum": 1, "maximum": GREATEST_PAGE_SIZE, "default": PAGE_SIZE},
        description="Changes a page.",
    ),
]


class MayAudit(ModelPermissions):
    """Signed in, with the permissions to view changes and products: a history shows drafts, and who did what."""

    def get_required_permissions(self, method: str, model_cls: Any) -> list[str]:
        return [*super().get_required_permissions(method, model_cls), "catalog.view_product"]


class HistoryRead(ChangeRead):
    """`{…, "actor": "user:7", "before": {"price": "4.50"}, "after": {"price": "5.00"}}`"""

    actor = CharField(help_text="`user:ID`, or `role:NAME` of the database for who wrote past Tenfold.")
    request_id = CharField(help_text="Empty for what no request wrote.")
    before = DictField(allow_null=True, help_text="Columns that differ, or the row that is gone; null of an import.")
    after = DictField(allow_null=True, help_text="The same columns afterwards, or the new row.")

    def get_fields(self) -> Any:
        fields = super().get_fields()
        del fields["sku"]
        return fields


class HistoryPage(Serializer[Any]):
    """A page of a history, the newest first."""

    results = HistoryRead(many=True)
    next = URLField(allow_null=True, help_text="The page of what was before; null at the beginning.")
    previous = URLField(allow_null=True, help_text="Always null: a history is read backwards.")
    next_cursor = CharField(allow_null=True, help_text="`cursor` of that page.")


class ProductHistory(LogView):
    """Who changed what of a product and all that belongs to it, when, and in which request; the newest first.

    A product that is gone has its history still, as long as the log is kept.
    """

    permission_classes = (MayAudit,)
    answer_headers = ("Link",)

    pagination_class = HistoryPagination

    @extend_schema(operation_id="products_history_list", parameters=HISTORY_PARAMETERS, responses=HistoryPage)
    def get(self, request: Request, product: str) -> Response:
        check_parameters(request.query_params, {parameter.name for parameter in HISTORY_PARAMETERS})
        page: Any = self.paginate_queryset(Change.objects.filter(product_id=int(product)))
        if not page and "cursor" not in request.query_params and not Product.objects.filter(pk=product).exists():
            raise Http404
        return self.get_paginated_response(describe_changes(page))
