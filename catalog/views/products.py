"""Products: their list, one product, facets, and what is suggested while somebody types."""

from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.facets import asked
from catalog.facets.descriptions import FACET_PARAMETERS, FACETS
from catalog.facets.links import link_facets
from catalog.facets.plans import FacetedPlan, FacetPlan, plan_facets
from catalog.filters import ProductFilters, read_words
from catalog.models import Product
from catalog.querysets import ProductQuerySet
from catalog.search.suggestions import suggest
from catalog.serializers import ProductRead, Suggestions
from catalog.views.public import SeenByRight
from catalog.writes.products import delete_product
from catalog.writes.serializers import ProductWrite
from config.api.reads.conditional import make_etag, spare_known
from config.api.reads.list_plans import FilledPlan, PagePlan
from config.api.reads.pagination import KeysetPagination, ListPagination, PageNumberPagination
from config.api.reads.plans import Reply
from config.api.reads.selections import PARAMETERS
from config.api.reads.unserved import IndexServed
from config.api.rendering.renderers import write_json
from config.api.viewsets import ReadViewSet, RetrieveMixin, WriteMixin

# Pairs of filter and ordering that an index in models.py serves. A test checks each with PostgreSQL's planner.
SERVED_FOR_STAFF: IndexServed = frozenset(
    {
        (None, "created_at"),
        (None, "updated_at"),
        ("brand", "created_at"),
        ("category", "created_at"),
        ("status", "created_at"),
        ("created_after", "created_at"),
        ("created_before", "created_at"),
        ("updated_since", "updated_at"),
        ("updated_before", "updated_at"),
        (None, "id"),
    }
)
# Also served by partial indexes, which have active products only.
SERVED: IndexServed = SERVED_FOR_STAFF | {
    (None, "price"),
    (None, "title"),
    (None, "rating"),
    ("brand", "price"),
    ("category", "price"),
    ("category", "title"),
    ("category", "rating"),
    ("price_min", "price"),
    ("price_max", "price"),
}


BEGINNING = OpenApiParameter(
    "q",
    str,
    required=True,
    description="What somebody has typed: 10 words at most, the last of them may be a beginning.",
)

# What a list of products may have beside the rows.
CORRECTED: dict[str, Any] = {
    "type": "object",
    "description": "Only if the search found no active product: the text that was searched for instead.",
    "required": ["asked", "used"],
    "properties": {"asked": {"type": "string"}, "used": {"type": "string"}},
    "additionalProperties": False,
}


class ProductPagination(KeysetPagination):
    """Pages of products, with `search` beside the rows if its words were corrected, and with `facets` if asked for."""

    beside: ClassVar = {"search": CORRECTED, "facets": FACETS}


FACETS_ANSWER: dict[str, Any] = {"type": "object", "required": ["facets"], "properties": ProductPagination.beside}


class NumberedProducts(PageNumberPagination):
    """The same by page number."""

    beside: ClassVar = ProductPagination.beside


@extend_schema_view(list=extend_schema(parameters=FACET_PARAMETERS))
class ProductViewSet(WriteMixin[Product], SeenByRight, ReadViewSet):
    """Products. Anybody reads the active ones; writes need the model permission.

    A page is one SQL statement, whatever is expanded. With `facets` it is two.
    """

    queryset = Product.objects.select_related("brand", "category__parent", "text").prefetch_related(
        "images", "variants__stock"
    )
    read_serializer = ProductRead
    write_serializer = ProductWrite
    filterset_class = ProductFilters
    pagination_class = ProductPagination
    open_parameters = ("attr.",)
    added_parameters = (*asked.PARAMETERS, "search")
    word_lists = (*PARAMETERS, "facets")
    orderings = tuple(
        sign + name for name in ("created_at", "updated_at", "price", "title", "rating", "id") for sign in ("", "-")
    )
    order_columns: ClassVar = {"title": "title_key"}
    default_ordering = "-created_at"
    lookup_value_regex = "[0-9]{1,18}"

    # The rows of a search whose words were corrected.
    corrected: ProductQuerySet | None = None

    def get_queryset(self) -> ProductQuerySet:
        if self.corrected is not None:
            return self.corrected
        return super().get_queryset().visible_to(self.request.user)

    @property
    def index_served(self) -> IndexServed:
        return SERVED_FOR_STAFF if self.find_audience(self.request.user) else SERVED

    def choose_default_pagination(self) -> type[ListPagination]:
        # An order by rank has no cursor, so a search without an ordering uses page numbers.
        query = self.request.query_params
        return NumberedProducts if query.get("search") and not query.get("ordering") else self.pagination_class

    def extend_plan(self, plan: PagePlan) -> PagePlan:
        query, whole = self.request.query_params, plan
        if not query.keys().isdisjoint(asked.PARAMETERS):
            facets = plan_facets(query, self.get_queryset(), self.find_audience(self.request.user))
            whole = FacetedPlan(plan, facets) if facets else plan
        return FilledPlan(whole) if query.get("search") and self.corrected is None else whole

    def replace_empty(self, plan: PagePlan) -> PagePlan:
        """Of a search: the plan with its words corrected, if that finds something."""
        self.corrected = self.get_queryset().correcting(self.request.query_params["search"])
        return plan if self.corrected is None else self.plan_list()

    def add_to_page(self, data: Any) -> dict[str, Any]:
        return link_facets(data, self.request.query_params) if self.is_list else {}

    def perform_destroy(self, instance: Product) -> None:
        delete_product(instance)


class ProductFacets(SeenByRight):
    """For each value of a filter, how many products the list would have with it: `{"facets": {"brand": …}}`.

    The other filters are those of the list. Each facet is counted without its own filter.
    """

    queryset = Product.objects.all()
    read_serializer = ProductRead
    filterset_class = ProductFilters
    open_parameters = ("attr.",)
    word_lists = ("facets",)
    planned = ("facets",)
    gated = planned
    is_list = True  # it takes the list's filters

    @property
    def known_parameters(self) -> frozenset[str]:
        return frozenset((*ProductFilters.base_filters, *asked.PARAMETERS))

    @extend_schema(parameters=FACET_PARAMETERS, responses={200: FACETS_ANSWER})
    def facets(self, request: Request) -> HttpResponse:
        plan: FacetPlan = self.find_plan(self.plan_facets)
        if not self.is_json:
            return Response({"facets": plan.read(), **plan.beside})
        return spare_known(request, self.send(plan.reply()))

    def add_to_page(self, data: Any) -> dict[str, Any]:
        return link_facets(data, self.request.query_params)

    def plan_facets(self) -> FacetPlan:
        caller = self.request.user
        query, rows = self.request.query_params, Product.objects.visible_to(caller)
        if text := query.get("search"):
            read_words("search", text)
            corrected = rows.correcting(text)
            rows = rows if corrected is None else corrected
        plan = plan_facets(query, rows, self.find_audience(caller), are_all=True)
        assert plan is not None
        return plan


class ProductBySlug(RetrieveMixin, SeenByRight):
    """One product by slug: the same answer as by id."""

    queryset = ProductViewSet.queryset
    read_serializer = ProductRead
    lookup_field = "slug"

    def get_queryset(self) -> ProductQuerySet:
        return super().get_queryset().visible_to(self.request.user)


class ProductSuggestions(SeenByRight):
    """What a text may become while somebody types it: products, brands, categories and whole phrases."""

    queryset = ProductViewSet.queryset
    read_serializer = ProductRead
    gated = ("suggest",)
    planned = ()

    @property
    def known_parameters(self) -> frozenset[str]:
        return frozenset({"q"})

    @extend_schema(operation_id="suggest_products", responses=Suggestions, parameters=[BEGINNING])
    def suggest(self, request: Request) -> HttpResponse:
        text = request.query_params.get("q", "")
        read_words("q", text)
        found = suggest(text, self.get_queryset().visible_to(request.user))
        if not self.is_json:
            return Response(found)
        body = write_json(found)
        return spare_known(request, self.send(Reply(body, {"ETag": make_etag(body)})))
