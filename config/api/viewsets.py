"""What every endpoint does, in the order in which it happens: parse, filter, page, shape, answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from http import HTTPStatus
from typing import Any

import orjson
from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from config.api.database.authorship import name_caller
from config.api.database.statements import Given, Statement
from config.api.database.wal_positions import parse_position
from config.api.reads import oracle, projection, selections
from config.api.reads.conditional import (
    claim_version,
    list_version_columns,
    name_audience,
    read_versions,
    spare_known,
    tag_row,
)
from config.api.reads.explaining import EXPLAIN, ExplainMixin
from config.api.reads.filtering import FilterBackend, IndexServed, OrderingBackend
from config.api.reads.list_plans import ListPlan
from config.api.reads.orderings import find_keyset, order_totally
from config.api.reads.pagination import KeysetPagination, ListPagination
from config.api.reads.parameters import check_parameters
from config.api.reads.plans import PLANS, Query, Question, Reply, read_query
from config.api.reads.readers import InstanceReader, Reader, TextReader
from config.api.reads.row_plans import RowPlan, fetch_row
from config.api.reads.selections import ReadSerializer, Selection
from config.api.rendering.renderers import JSONRenderer
from config.api.writes.attempts import attempt_twice
from config.api.writes.idempotency import RepeatablePost

# Where a gate leaves the exception of a read that took too long: to be answered, and not to be done again.
OVER_LIMIT = "tenfold.over_limit"

type Caller = PermissionsMixin | AnonymousUser

# A session's caller may see other rows than a stranger.
VARY = "Accept, Authorization, Cookie, Accept-Encoding"


class ShapedViewSet(RepeatablePost, ExplainMixin, GenericViewSet[Any]):
    """What reads share: the parameters are checked, the rows narrowed, and shaped by a read serializer."""

    read_serializer: ReadSerializer
    # Whether the database writes the JSON. If not, DRF's serializers do, over what `get_queryset()` selects and
    # prefetches: for fields that compute in Python, such as SerializerMethodField.
    compiled = True
    pagination_class: type[ListPagination] = KeysetPagination
    filter_backends: Sequence[type[BaseFilterBackend]] = (FilterBackend, OrderingBackend)
    filterset_class: Any = None
    orderings: tuple[str, ...] = ()
    default_ordering = "pk"
    index_served: IndexServed = frozenset()
    # Whole families of parameters, like `attr.`.
    open_parameters: tuple[str, ...] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # A search of the text costs less than parsing it; percent signs may encode any name.
        text = request.META["QUERY_STRING"]
        if (EXPLAIN in text or "%" in text) and self.action in self.planned:
            self.begin_explanation(request)
        if (least := request.headers.get("X-Min-Version")) is not None:
            parse_position(least)
        name_caller(request)
        if self.action is None:
            return  # a method that isn't here: 405, whatever its parameters
        # After permissions, so that a stranger learns nothing, and before the first catalogue query.
        if not self.is_planned:
            self.check_parameters()

    def check_parameters(self) -> None:
        open_ones = self.open_parameters if self.is_list else ()
        # Not among the known ones, which the document describes: its answer is another one.
        explained = {EXPLAIN} if self.explanation else set()
        lists = (*selections.PARAMETERS, *(self.filterset_class.list_lists() if self.filterset_class else ()))
        check_parameters(self.request.query_params, self.known_parameters | explained, open_ones, lists)

    @property
    def is_list(self) -> bool:
        return self.action == "list"

    @property
    def known_parameters(self) -> frozenset[str]:
        """Every query parameter that the action at hand reads."""
        names = set(selections.PARAMETERS)
        if self.is_list:
            names |= set(self.pagination_class.parameters)
            names |= set(self.filterset_class.base_filters) if self.filterset_class else set()
            names |= {"ordering"} if self.orderings else set()
        return frozenset(names)

    # -- plans: what a read comes to, kept for the next one like it

    # Actions that read by a plan, whose making checks what is asked; and those that may be answered before Django, by
    # their plan or from the cache.
    planned: tuple[str, ...] = ("list", "retrieve")
    gated: tuple[str, ...] = planned
    # How old an answer may be that somebody gets while another fills; shared caches are told of it. 0: strictly fresh.
    stale_seconds = 0

    @property
    def is_planned(self) -> bool:
        return self.request.method in ("GET", "HEAD") and self.action in self.planned

    @classmethod
    def find_audience(cls, caller: Caller) -> Hashable | None:
        """What of the caller decides which rows they see; None where that isn't known, and nothing is kept."""
        return "anybody" if isinstance(caller, AnonymousUser) else None

    @classmethod
    def pose_question(
        cls, action: str, caller: Caller, arguments: Mapping[str, Any], origin: str, query: Query | None
    ) -> Question | None:
        """What a plan of `action` depends on; None where the caller or the query is one to keep none for.

        A plan that isn't compiled holds its request.
        """
        if not cls.compiled or query is None or (audience := cls.find_audience(caller)) is None:
            return None
        # A row's own key is Given to its statement.
        given = "" if action == "list" else cls.lookup_field
        kept = tuple(item for item in arguments.items() if item[0] != given)
        return Question(origin, cls, action, audience, kept, query.parameters, query.cursor is not None)

    def find_plan(self, make: Callable[[], Any]) -> Any:
        """The plan kept for a request like this, or what `make` makes of it once its parameters are checked."""
        request = self.request._request
        if error := request.META.pop(OVER_LIMIT, None):
            raise error
        origin, query = f"{request.scheme}://{request.get_host()}", read_query(request.META["QUERY_STRING"])
        question = self.pose_question(self.action, self.request.user, self.kwargs, origin, query)
        plan = PLANS.find(question) if question else None
        if plan is None:
            self.check_parameters()
            plan = PLANS.make(question, make)
        return plan

    @property
    def is_json(self) -> bool:
        return bool(self.request.accepted_renderer.format == "json")

    def send(self, reply: Reply) -> HttpResponse:
        """JSON as final bytes: DRF's response is worth its price only for its pages."""
        headers = {"Vary": VARY, "Cache-Control": self.name_caches(), **reply.headers}
        response = HttpResponse(reply.body, JSONRenderer.media_type, headers=headers)
        response.render_seconds, response.rows = reply.render_seconds, reply.rows  # type: ignore[attr-defined]  # for the record
        return response

    def name_caches(self) -> str:
        audience = name_audience(self.request)
        if not self.stale_seconds or not audience.startswith("public"):
            return audience
        return f"public, max-age=0, s-maxage=1, stale-while-revalidate={self.stale_seconds}"

    @cached_property
    def paginator(self) -> ListPagination:
        return self.choose_default_pagination()()

    def choose_default_pagination(self) -> type[ListPagination]:
        return self.pagination_class

    def get_queryset(self) -> Any:
        """All rows of the view, with what it selects and prefetches where there are instances to bring it along."""
        return (strip_relations(self.queryset) if self.compiled else self.queryset).all()

    def read_selection(self, detail: bool) -> Selection:
        return selections.read_selection(self.request.query_params, self.read_serializer, detail)

    def select(self, rows: QuerySet[Any], selection: Selection, beside: Sequence[str] = ()) -> QuerySet[Any]:
        """Tuples of each row's JSON and the columns `beside`."""
        origin = self.request.build_absolute_uri("/")[:-1]
        return projection.select_json(rows, self.read_serializer, selection, origin, beside)

    def shape(self, rows: Sequence[Any], selection: Selection) -> Sequence[bytes]:
        """Each row's JSON, by DRF's serializer."""
        return oracle.write_rows(rows, self.read_serializer, selection, self.get_serializer_context())

    def plan_reader(self, rows: QuerySet[Any], selection: Selection) -> Reader:
        """How a page of `rows`, which are in a total order, is read."""
        if not self.compiled:
            selected = oracle.select_rows(rows, self.read_serializer, selection)
            return InstanceReader(selected, lambda found: self.shape(found, selection))
        keyset = find_keyset(rows)
        return TextReader(self.select(rows, selection, keyset.names if keyset else ()))

    def show(self, rows: QuerySet[Any], selection: Selection) -> Sequence[Any]:
        """The JSON of the one row in `rows`, and its version if it has one."""
        beside = list_version_columns(rows.model)
        if self.compiled:
            shown: Sequence[Any] = self.select(rows, selection, beside).get()
            return shown
        row = oracle.select_rows(rows, self.read_serializer, selection, beside).get()
        return [*self.shape([row], selection), *(getattr(row, name) for name in beside)]

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return self.read_serializer


# Kept: each of a request's ten copies of a queryset would copy its relations, a tenth of a page that has no plan yet.
@lru_cache(maxsize=256)
def strip_relations(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.select_related(None).prefetch_related(None)


class ListMixin(ShapedViewSet):
    """`GET` of a list: one page of it."""

    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        plan, cursor = self.find_plan(self.plan_list), self.read_cursor()
        if self.is_json:
            return spare_known(request, self.send(plan.reply(cursor)))
        envelope = plan.read(cursor)
        return Response(envelope.members, headers=envelope.headers)

    def read_cursor(self) -> str | None:
        # A query string that can't name one needn't be parsed; percent signs may spell any name.
        text = self.request.META["QUERY_STRING"]
        return self.request.query_params.get("cursor") if "cursor" in text or "%" in text else None

    def plan_list(self) -> ListPlan:
        selection = self.read_selection(detail=False)
        rows = order_totally(self.filter_queryset(self.get_queryset()))
        plan: ListPlan = self.paginator.plan(rows, self.plan_reader(rows, selection), self.request)
        return plan


class RetrieveMixin(ShapedViewSet):
    """`GET` of one row; its 404 doesn't tell a row that the caller may not see from a missing one."""

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return spare_known(request, self.answer_row())

    def answer_row(self) -> HttpResponse:
        """The row with its ETag."""
        reply = self.find_plan(self.plan_row).reply(self.kwargs[self.lookup_field])
        if reply is None:
            raise Http404
        return self.send(reply) if self.is_json else Response(orjson.Fragment(reply.body))

    def plan_row(self) -> RowPlan:
        selection = self.read_selection(detail=True)
        rows = self.get_queryset()
        key = rows.model._meta.pk if self.lookup_field == "pk" else rows.model._meta.get_field(self.lookup_field)
        if not self.compiled:
            return RowPlan(key, lambda value: self.show(rows.filter(**{key.name: value}), selection))
        rows = rows.filter(**{key.name: Given(0, key)}).order_by()
        statement = Statement.compile(self.select(rows, selection, list_version_columns(rows.model))[:1])
        return RowPlan(key, partial(fetch_row, statement))


class ReadViewSet(ListMixin, RetrieveMixin):
    """Both."""


class WriteMixin(ShapedViewSet):
    """`POST`, `PUT`, `PATCH`, `DELETE` by a write serializer; the answer is the row as a GET would show it."""

    write_serializer: type[BaseSerializer[Any]]
    # Those that compare `If-Match`. The middleware Preconditions refuses a condition that nobody would check.
    conditional_methods: tuple[str, ...] = ("PUT", "PATCH", "DELETE")

    @property
    def known_parameters(self) -> frozenset[str]:
        # Of a row that is gone nothing is shown.
        return frozenset() if self.action == "destroy" else super().known_parameters

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.write(self.get_serializer(data=request.data), HTTPStatus.CREATED)

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        partial = kwargs.pop("partial", False)
        row, versions = self.get_object(), read_versions(request)
        serializer = self.get_serializer(row, data=request.data, partial=partial)
        return self.write(serializer, HTTPStatus.OK, lambda: claim_version(row, versions))

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = self.update(request, *args, partial=True, **kwargs)
        return response

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        row, versions = self.get_object(), read_versions(request)
        with transaction.atomic():
            claim_version(row, versions)
            self.perform_destroy(row)
        return Response(status=HTTPStatus.NO_CONTENT)

    def perform_destroy(self, instance: Any) -> None:
        instance.delete()

    def write(self, serializer: Any, status: HTTPStatus, claim: Callable[[], None] = lambda: None) -> Response:
        # First, so that a slip in `fields` writes nothing.
        selection = self.read_selection(detail=True)
        serializer.is_valid(raise_exception=True)
        row, (text, *version) = attempt_twice(lambda: self.save(serializer, selection, claim))
        headers = {"Location": self.build_address(row)} if status == HTTPStatus.CREATED else {}
        return Response(orjson.Fragment(text), status, headers=headers | tag_row(self.request, text, *version))

    def save(self, serializer: Any, selection: Selection, claim: Callable[[], None]) -> tuple[Any, Sequence[Any]]:
        """The written row, and what of it is shown: its JSON, and its version if it has one."""
        with transaction.atomic():
            claim()
            row = serializer.save()
            # Not through get_queryset(): who made it a draft still gets to see what was written. And before the
            # commit: with the ETag of the next writer's row our caller would overwrite it.
            return row, self.show(type(row)._default_manager.filter(pk=row.pk), selection)

    def build_address(self, row: Any) -> str:
        value = getattr(row, self.lookup_field)
        return self.reverse_action("detail", kwargs={self.lookup_field: value})

    def get_serializer(self, *args: Any, **kwargs: Any) -> BaseSerializer[Any]:
        """DRF's; the browsable API's form asks it for a body of the row that the page shows a selection of."""
        row = kwargs.pop("instance", None)
        if row is not None:
            args = (type(row)._default_manager.get(pk=row.pk),)
        return super().get_serializer(*args, **kwargs)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.is_list:
            return super().filter_queryset(queryset)
        # An address names its row; a filter beside it would only hide it. What a serializer shows a write doesn't read.
        return queryset.select_related(None).prefetch_related(None)

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        is_write = self.action in ("create", "update", "partial_update")
        return self.write_serializer if is_write else self.read_serializer
