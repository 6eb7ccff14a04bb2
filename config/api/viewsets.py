"""The base classes of all viewsets: they read the parameters, filter, page and shape the rows, and answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from http import HTTPStatus
from typing import Any, ClassVar

import orjson
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import Http404, HttpResponse
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from config.api.access.permissions import Caller
from config.api.database.authorship import name_caller
from config.api.database.replicas import check_least
from config.api.database.statements import Given, Statement, choose_compiled
from config.api.reads import oracle, selections, stored
from config.api.reads.addresses import find_origin
from config.api.reads.conditional import (
    claim_version,
    list_version_columns,
    name_audience,
    read_versions,
    spare_known,
    tag_row,
)
from config.api.reads.explaining import EXPLAIN, ExplainMixin
from config.api.reads.filtering import FilterBackend, OrderingBackend, SparseFilterSet
from config.api.reads.list_plans import EmptyPage, PagePlan
from config.api.reads.orderings import find_keyset, order_totally
from config.api.reads.pagination import KeysetPagination, ListPagination
from config.api.reads.parameters import check_parameters
from config.api.reads.plans import PLANS, Query, Question, Reply, read_query
from config.api.reads.readers import InstanceReader, Reader, TextReader
from config.api.reads.row_plans import RowPlan, fetch_row
from config.api.reads.selections import ReadSerializer, Selection
from config.api.reads.unserved import IndexServed
from config.api.rendering.renderers import JSONRenderer
from config.api.writes import sent_back
from config.api.writes.attempts import attempt_twice
from config.api.writes.idempotency import RepeatablePost

# The key of a request's environ where a gate puts the error of a read that took too long. The view raises this error
# and doesn't run the read again.
OVER_LIMIT = "tenfold.over_limit"

# Authorization and Cookie, since callers may see different rows.
VARY = "Accept, Authorization, Cookie, Accept-Encoding"


class PlanResponse(HttpResponse):
    """The answer of a plan. The request's log line reads the seconds of rendering and the number of rows."""

    def __init__(self, reply: Reply, headers: dict[str, str]) -> None:
        super().__init__(reply.body, JSONRenderer.media_type, headers=headers)
        self.render_seconds, self.rows = reply.render_seconds, reply.rows


class ShapedViewSet(RepeatablePost, ExplainMixin, GenericViewSet[Any]):
    """The base of all viewsets: checks the parameters, narrows the rows, and shapes them by a read serializer."""

    read_serializer: ReadSerializer
    # True if the database writes the JSON. False for serializers with fields that compute in Python, such as
    # SerializerMethodField: DRF then writes the rows that `get_queryset()` selects and prefetches.
    compiled = True
    pagination_class: type[ListPagination] = KeysetPagination
    filter_backends: Sequence[type[BaseFilterBackend]] = (FilterBackend, OrderingBackend)
    filterset_class: type[SparseFilterSet] | None = None
    orderings: tuple[str, ...] = ()
    # The column that orders, for names in `orderings` that show another one.
    order_columns: ClassVar[Mapping[str, str]] = {}
    default_ordering = "pk"
    # Prefixes of parameters whose names aren't known in advance, such as `attr.`.
    open_parameters: tuple[str, ...] = ()
    # Parameters of a list beside its filters, order, pages and selection. With one of them, `extend_plan` is called.
    added_parameters: tuple[str, ...] = ()
    # Parameters whose values are lists of names. They may be repeated.
    word_lists: tuple[str, ...] = selections.PARAMETERS

    @property
    def index_served(self) -> IndexServed:
        """The (filter, column) pairs whose order an index serves."""
        return frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # Searching the text costs less than parsing it. A percent sign may encode a letter of any name.
        text = request.META["QUERY_STRING"]
        if (EXPLAIN in text or "%" in text) and self.action in self.planned:
            self.begin_explanation(request)
        check_least(request.headers)
        name_caller(request)
        if self.action is None:
            return  # the view doesn't have this method: 405, whatever the parameters are
        # After the permissions, so that a caller without them learns nothing; before the first query of rows.
        # OPTIONS tells what an address takes, and reads no parameter.
        if not self.is_planned and request.method != "OPTIONS":
            self.check_parameters()

    def check_parameters(self) -> None:
        open_ones = self.open_parameters if self.is_list else ()
        # `explain` isn't in `known_parameters`, which the API's document lists: its answer has another shape.
        explained = {EXPLAIN} if self.explanation else set()
        lists = (*self.word_lists, *(self.filterset_class.list_lists() if self.filterset_class else ()))
        check_parameters(self.request.query_params, self.known_parameters | explained, open_ones, lists)

    @property
    def is_list(self) -> bool:
        return self.action == "list"

    @property
    def known_parameters(self) -> frozenset[str]:
        """All query parameters that the current action reads."""
        names = set(selections.PARAMETERS)
        if self.is_list:
            names |= set(self.pagination_class.parameters)
            names |= set(self.filterset_class.base_filters) if self.filterset_class else set()
            names |= {"ordering"} if self.orderings else set()
            names |= set(self.added_parameters)
        return frozenset(names)

    # -- plans: how a read is done, cached for the next read like it

    # Actions that read by a plan. Making the plan checks the parameters.
    planned: tuple[str, ...] = ("list", "retrieve")
    # Actions that a gate may answer before Django, by a plan or from the cache.
    gated: tuple[str, ...] = planned
    # The greatest age in seconds of a cached answer that is given while a new one is made. Shared caches get the same
    # limit. 0 means that no answer is stale.
    stale_seconds = 0

    @property
    def is_planned(self) -> bool:
        return self.request.method in ("GET", "HEAD") and self.action in self.planned

    @classmethod
    def find_audience(cls, caller: Caller) -> Hashable | None:
        """A key of the callers who see the same rows as this one; None if it isn't known, so nothing is cached."""
        return "anybody" if isinstance(caller, AnonymousUser) else None

    @classmethod
    def pose_question(
        cls, action: str, caller: Caller, arguments: Mapping[str, Any], origin: str, query: Query | None
    ) -> Question | None:
        """The key of a plan of `action`; None if no plan may be cached for this caller or query.

        The plan of a view that isn't compiled is never cached: it holds its request.
        """
        if not cls.compiled or query is None or (audience := cls.find_audience(caller)) is None:
            return None
        # The plan of one row serves all rows: the row's key is a parameter of its statement (Given).
        given = "" if action == "list" else cls.lookup_field
        kept = tuple(item for item in arguments.items() if item[0] != given)
        return Question(origin, cls, action, audience, kept, query.parameters, query.cursor is not None)

    def find_plan[Plan](self, make: Callable[[], Plan]) -> Plan:
        """The plan cached for requests like this one. If there is none, checks the parameters and calls `make`."""
        request = self.request._request
        if error := request.META.pop(OVER_LIMIT, None):
            raise error
        origin, query = find_origin(request), read_query(request.META["QUERY_STRING"])
        question = self.pose_question(self.action, self.request.user, self.kwargs, origin, query)
        if "X-Min-Version" in self.request.headers:
            question = None  # the version may be newer than what a plan was made from
        plan: Plan | None = PLANS.find_current(question) if question else None
        if plan is None:
            self.check_parameters()
            plan = PLANS.make(question, make)
        return plan

    @property
    def is_json(self) -> bool:
        return bool(self.request.accepted_renderer.format == "json")

    def send(self, reply: Reply) -> HttpResponse:
        """The JSON answer. DRF's Response would cost more, and only the browsable API needs it."""
        return PlanResponse(reply, {"Vary": VARY, "Cache-Control": self.name_caches(), **reply.headers})

    def name_caches(self) -> str:
        audience = name_audience(self.request)
        if not self.stale_seconds or not audience.startswith("public"):
            return audience
        fresh = max(1, settings.CACHE_S_MAXAGE)
        return f"public, max-age=0, s-maxage={fresh}, stale-while-revalidate={self.stale_seconds}"

    @cached_property
    def paginator(self) -> ListPagination:
        return self.choose_default_pagination()()

    def choose_default_pagination(self) -> type[ListPagination]:
        return self.pagination_class

    def get_queryset(self) -> Any:
        """All rows of the view. Related rows are selected and prefetched only if the view isn't compiled."""
        return (strip_relations(self.queryset) if self.compiled else self.queryset).all()

    def read_selection(self, detail: bool) -> Selection:
        return selections.read_selection(self.request.query_params, self.read_serializer, detail)

    def select(self, rows: QuerySet[Any], selection: Selection, beside: Sequence[str] = ()) -> QuerySet[Any]:
        """Tuples of each row's JSON, or null for a row that isn't stored, and the columns named in `beside`."""
        return stored.select_json(rows, self.read_serializer, selection, find_origin(self.request), beside)

    def shape(self, rows: Sequence[Any], selection: Selection) -> Sequence[bytes]:
        """Each row's JSON, written by DRF's serializer."""
        return oracle.write_rows(rows, self.read_serializer, selection, self.get_serializer_context())

    def plan_reader(self, rows: QuerySet[Any], selection: Selection) -> Reader:
        """The reader of pages of `rows`, which must be in a total order."""
        if not self.compiled:
            selected = oracle.select_rows(rows, self.read_serializer, selection)
            return InstanceReader(selected, lambda found: self.shape(found, selection))
        keyset = find_keyset(rows)
        return TextReader(self.select(rows, selection, keyset.names if keyset else ()))

    def show(self, rows: QuerySet[Any], selection: Selection) -> Sequence[Any]:
        """The JSON of the only row in `rows`, and its version if it has one. ObjectDoesNotExist if there is no row."""
        beside = list_version_columns(rows.model)
        if self.compiled:
            shown: Sequence[Any] = choose_compiled(self.select(rows, selection, beside)).get()
            return shown
        row = oracle.select_rows(rows, self.read_serializer, selection, beside).get()
        return [*self.shape([row], selection), *(getattr(row, name) for name in beside)]

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return self.read_serializer


# Cached: making a plan copies the queryset about ten times, and copying the relations took a tenth of the whole time.
@lru_cache(maxsize=256)
def strip_relations(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.select_related(None).prefetch_related(None)


class ListMixin(ShapedViewSet):
    """`GET` of a list: answers with one page."""

    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        plan, cursor = self.find_plan(self.plan_list), self.read_cursor()
        try:
            return self.answer_page(plan, cursor)
        except EmptyPage as empty:
            return self.answer_page(self.replace_empty(empty.plan), cursor)

    def answer_page(self, plan: PagePlan, cursor: str | None) -> HttpResponse:
        if self.is_json:
            return spare_known(self.request, self.send(plan.reply(cursor)))
        envelope = plan.read(cursor)
        return Response(envelope.members, headers=envelope.headers)

    def replace_empty(self, plan: PagePlan) -> PagePlan:
        """What is answered in place of a page without rows, which `plan` has read, if the list's plan is FilledPlan."""
        return plan

    def read_cursor(self) -> str | None:
        # Parse the query string only if it may have a cursor. A percent sign may encode a letter of any name.
        text = self.request.META["QUERY_STRING"]
        return self.request.query_params.get("cursor") if "cursor" in text or "%" in text else None

    def plan_list(self) -> PagePlan:
        selection = self.read_selection(detail=False)
        rows = order_totally(self.filter_queryset(self.get_queryset()))
        plan: PagePlan = self.paginator.plan(rows, self.plan_reader(rows, selection), self.request)
        return plan if self.request.query_params.keys().isdisjoint(self.added_parameters) else self.extend_plan(plan)

    def extend_plan(self, plan: PagePlan) -> PagePlan:
        """The plan with what `added_parameters` ask for."""
        return plan


class RetrieveMixin(ShapedViewSet):
    """`GET` of one row: 404 if the row is missing, and also if the caller may not see it."""

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
    """List and detail of one resource."""


class WriteMixin[Row: Model](ShapedViewSet):
    """`POST`, `PUT`, `PATCH` and `DELETE`. `write_serializer` reads the body; the answer is the row as in a GET."""

    write_serializer: type[BaseSerializer[Any]]
    # The methods that compare `If-Match`. If another write has this header, the middleware Preconditions answers 400.
    conditional_methods: tuple[str, ...] = ("PUT", "PATCH", "DELETE")

    @property
    def known_parameters(self) -> frozenset[str]:
        # DELETE returns no body, so it takes no projection parameters.
        return frozenset() if self.action == "destroy" else super().known_parameters

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.write(self.get_serializer(data=request.data), HTTPStatus.CREATED)

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        partial = kwargs.pop("partial", False)
        row, versions = self.get_object(), read_versions(request)
        serializer = self.get_serializer(row, data=request.data, partial=partial)
        if sent_back.has_read_only(request.data, serializer):
            serializer.initial_data = self.leave_out_unchanged(row, request.data, serializer)
        return self.write(serializer, HTTPStatus.OK, lambda: self.claim(row, versions))

    def leave_out_unchanged(self, row: Row, body: Any, serializer: BaseSerializer[Any]) -> Any:
        """The body without members that can't be written and are as the row has them. One query."""
        expand = sent_back.list_expanded(body, self.read_serializer)
        selection = selections.build_selection(self.read_serializer, expand, detail=True)
        [text, *_] = self.show(type(row)._default_manager.filter(pk=row.pk), selection)
        return sent_back.leave_out_unchanged(body, orjson.loads(text), serializer)

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = self.update(request, *args, partial=True, **kwargs)
        return response

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        row, versions = self.get_object(), read_versions(request)
        with transaction.atomic():
            self.claim(row, versions)
            self.perform_destroy(row)
        return Response(status=HTTPStatus.NO_CONTENT)

    def claim(self, row: Row, versions: Collection[int] | None) -> None:
        """Lock the row if `If-Match` names versions, and compare its version with them."""
        claim_version(row, versions)

    def perform_destroy(self, instance: Row) -> None:
        instance.delete()

    def write(
        self, serializer: BaseSerializer[Row], status: HTTPStatus, claim: Callable[[], None] = lambda: None
    ) -> Response:
        """Call `claim()` and save the serializer's row, in one transaction. Answers with the row."""
        # This comes first, so that nothing is written if `fields` has an error.
        selection = self.read_selection(detail=True)
        serializer.is_valid(raise_exception=True)
        row, (text, *version) = attempt_twice(lambda: self.save(serializer, selection, claim))
        headers = {"Location": self.build_address(row)} if status == HTTPStatus.CREATED else {}
        return Response(orjson.Fragment(text), status, headers=headers | tag_row(self.request, text, *version))

    def save(
        self, serializer: BaseSerializer[Row], selection: Selection, claim: Callable[[], None]
    ) -> tuple[Row, Sequence[Any]]:
        """The saved row, and what `show` returns for it."""
        with transaction.atomic():
            claim()
            row = serializer.save()
            # Not get_queryset(): a caller who has just made the product a draft still gets it as the answer. And
            # before the commit: after it, the row and its ETag could be those of the next writer.
            return row, self.show(type(row)._default_manager.filter(pk=row.pk), selection)

    def build_address(self, row: Row) -> str:
        value = getattr(row, self.lookup_field)
        return self.reverse_action("detail", kwargs={self.lookup_field: value})

    def get_serializer(self, *args: Any, **kwargs: Any) -> BaseSerializer[Any]:
        """DRF's method. The browsable API's form gives a row with some of its members; here it is read whole."""
        row = kwargs.pop("instance", None)
        if row is not None:
            args = (type(row)._default_manager.get(pk=row.pk),)
        return super().get_serializer(*args, **kwargs)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.is_list:
            return super().filter_queryset(queryset)
        # The address names the row, so no filter applies. A write doesn't need the related rows.
        return queryset.select_related(None).prefetch_related(None)

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        # OPTIONS describes the bodies of POST and PUT; DRF asks once for each.
        is_described = self.action == "metadata" and self.request.method in ("POST", "PUT")
        is_write = self.action in ("create", "update", "partial_update") or is_described
        return self.write_serializer if is_write else self.read_serializer
