"""The catalogue's endpoints. Each view names its rows, filters and orderings; config/api/viewsets.py does the rest."""

import hashlib
from collections.abc import Collection
from http import HTTPStatus
from io import BytesIO
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from catalog.facets import asked
from catalog.facets.descriptions import FACET_PARAMETERS, FACETS
from catalog.facets.links import link_facets
from catalog.facets.plans import FacetedPlan, FacetPlan, plan_facets
from catalog.filters import (
    BrandFilters,
    CategoryFilters,
    ProductFilters,
    ScheduledPriceFilters,
    VariantFilters,
    read_words,
)
from catalog.locations import delete_location
from catalog.models import Attribute, Brand, Category, Image, Location, Product, ScheduledPrice, Stock, Variant
from catalog.prices.models import VariantPrice
from catalog.prices.scheduling import cancel_price
from catalog.prices.serializers import ScheduledPriceWrite
from catalog.querysets import ProductQuerySet, VariantQuerySet
from catalog.search.suggestions import suggest
from catalog.serializers import (
    AttributeRead,
    BrandRead,
    CategoryNode,
    CategoryRead,
    ImageRead,
    LocationRead,
    PriceRead,
    ProductRead,
    ScheduledPriceRead,
    Suggestions,
    VariantRead,
)
from catalog.trees import build_tree
from catalog.writes.bodies import ProductsWriter
from catalog.writes.levels import PricesWriter, StockWriter
from catalog.writes.parts import delete_part, lock_product
from catalog.writes.plans import Manner, Mode
from catalog.writes.products import delete_product
from catalog.writes.serializers import (
    AttributeWrite,
    BrandWrite,
    CategoryWrite,
    ImageUpload,
    LocationWrite,
    MergeRead,
    MergeWrite,
    OneImageWrite,
    OneVariantWrite,
    PriceBulkRead,
    PriceWrite,
    ProductBulkRead,
    ProductBulkWrite,
    ProductWrite,
    StockBulkRead,
    StockWrite,
)
from catalog.writes.small_lists import merge_row, refuse_used
from catalog.writes.texts import compose, list_forms
from config.api.access.permissions import AnyWrite, Caller, ModelPermissions, PublicRead, require_rights, write_refusal
from config.api.access.privacy import PrivateMixin
from config.api.access.scopes import CATALOGUE
from config.api.problems.errors import InvalidParameter
from config.api.reads.conditional import make_etag, spare_known
from config.api.reads.list_plans import FilledPlan, PagePlan
from config.api.reads.pagination import KeysetPagination, ListPagination, PageNumberPagination
from config.api.reads.plans import Reply
from config.api.reads.selections import PARAMETERS
from config.api.reads.unserved import IndexServed
from config.api.rendering.renderers import write_json
from config.api.viewsets import ListMixin, ReadViewSet, RetrieveMixin, ShapedViewSet, WriteMixin
from config.api.writes.attempts import attempt_twice
from config.api.writes.bulk import GREATEST_NUMBER, BulkListView, BulkView, Handling, write_rows
from config.api.writes.parsers import JSONParser

# Pairs of filter and ordering that an index in models.py serves. A test checks each with PostgreSQL's planner.
SERVED_FOR_STAFF: IndexServed = frozenset(
    {
        (None, "created_at"),
        (None, "updated_at"),
        ("brand", "created_at"),
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
    ("price_min", "price"),
    ("price_max", "price"),
}


class SeenByRight(ShapedViewSet):
    """Public reads: callers with the permission to view products see all of them, others only active ones."""

    permission_classes = (PublicRead,)
    scope = CATALOGUE

    @classmethod
    def find_audience(cls, caller: Caller) -> bool:
        # A stranger has no rights; to ask the backends for them takes 7 microseconds.
        return not isinstance(caller, AnonymousUser) and caller.has_perm("catalog.view_product")


class SluggedViewSet(ReadViewSet):
    """A public list ordered by slug, the same rows for every caller, and each row by its slug."""

    permission_classes = (PublicRead,)
    scope = CATALOGUE
    pagination_class = PageNumberPagination
    orderings = ("slug", "-slug")
    default_ordering = "slug"
    index_served: IndexServed = frozenset({(None, "slug")})
    lookup_field = "slug"
    lookup_value_regex = "[^/]+"

    @classmethod
    def find_audience(cls, caller: Caller) -> str:
        return "anybody"


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


class PartViewSet[Part: Variant | Image](WriteMixin[Part], SeenByRight):
    """Writes of one variant or image. They lock its product first, as all writers of products do."""

    def claim(self, row: Part, versions: Collection[int] | None) -> None:
        lock_product(row.product_id)
        super().claim(row, versions)

    def perform_destroy(self, instance: Part) -> None:
        delete_part(instance)


class OfProduct[Part: Variant | Image](PartViewSet[Part], ReadViewSet):
    """Rows below `products/{product}/`. The list is 404 if the caller can't see the product."""

    orderings = ("position", "-position")
    default_ordering = "position"

    @property
    def product(self) -> Product:
        return get_object_or_404(Product.objects.visible_to(self.request.user).only("pk"), pk=self.kwargs["product"])

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(product=self.product)


class ProductVariants(OfProduct[Variant]):
    """All variants of a product, by position. POST adds one."""

    queryset = Variant.objects.prefetch_related("stock")
    read_serializer = VariantRead
    write_serializer = OneVariantWrite

    def build_address(self, row: Variant) -> str:
        return reverse("variant-detail", kwargs={"sku": row.sku}, request=self.request)


FORM = "multipart/form-data"
# The bytes that a form may have beside its file.
FORM_BYTES = 64 * 1024
ADD_IMAGE = "catalog.add_image"


class ProductImages(OfProduct[Image]):
    """All images of a product, by position. POST adds one: by its address, or the picture itself in a form."""

    queryset = Image.objects.all()
    read_serializer = ImageRead
    write_serializer = OneImageWrite
    parser_classes = (JSONParser, MultiPartParser)
    streamed_type = FORM

    @classmethod
    def find_body_limit(cls) -> int:
        return settings.MEDIA_MAX_BYTES + FORM_BYTES

    def perform_authentication(self, request: Request) -> None:
        # Before the check of a session's CSRF token, which reads the whole form.
        user = getattr(request._request, "user", None)
        if request.method == "POST" and user and user.is_authenticated and not user.has_perm(ADD_IMAGE):
            self.permission_denied(request, write_refusal(ADD_IMAGE))
        super().perform_authentication(request)

    @property
    def is_upload(self) -> bool:
        return self.action == "create" and self.request.content_type.lower().startswith(FORM)

    def hash_body(self, request: Request) -> bytes:
        return hash_upload(request.data) if self.is_upload else super().hash_body(request)

    def get_serializer_class(self) -> Any:
        return ImageUpload if self.is_upload else super().get_serializer_class()

    # The form comes first: openapi-generator takes the first, and its TypeScript can't name a form that comes later.
    @extend_schema(request={FORM: ImageUpload, "application/json": OneImageWrite})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().create(request, *args, **kwargs)

    def build_address(self, row: Image) -> str:
        place = {"product": row.product_id, "pk": row.pk}
        return reverse("product-image", kwargs=place, request=self.request)


def hash_upload(form: Any) -> bytes:
    """BLAKE2b of a form's texts and file, whose bytes are read anew afterwards."""
    hash_ = hashlib.blake2b(digest_size=32)
    for name, value in sorted(form.items()):
        content = value if isinstance(value, UploadedFile) else BytesIO(str(value).encode())
        hash_.update(f"{name}\0".encode() + hashlib.file_digest(content, "sha256").digest())
        content.seek(0)
    return hash_.digest()


class VariantViewSet(PartViewSet[Variant], ReadViewSet):
    """Variants of all products, and one by its SKU. PATCH changes it, DELETE deletes it with its stock."""

    http_method_names = ("get", "patch", "delete", "head", "options")
    queryset = Variant.objects.prefetch_related("stock")
    read_serializer = VariantRead
    write_serializer = OneVariantWrite
    filterset_class = VariantFilters
    orderings = ("id", "-id", "updated_at", "-updated_at")
    default_ordering = "id"
    index_served: IndexServed = frozenset({(None, "id"), (None, "updated_at"), ("updated_since", "updated_at")})
    lookup_field = "sku"
    # DRF's own pattern stops at a dot or a slash, so a SKU like "A.12/B" would be 404.
    lookup_value_regex = ".+"

    def get_queryset(self) -> VariantQuerySet:
        return super().get_queryset().visible_to(self.request.user)


OF_VARIANT = OpenApiParameter("sku", str, required=True, description="The variant's SKU.")


@extend_schema_view(list=extend_schema(parameters=[OF_VARIANT]))
class PriceHistory(SeenByRight, ListMixin):
    """All prices of one variant, the present one first: 404 if the caller can't see the variant."""

    queryset = VariantPrice.objects.all()
    read_serializer = PriceRead
    added_parameters = ("sku",)
    orderings = ("since", "-since")
    default_ordering = "-since"
    index_served: IndexServed = frozenset({(None, "since")})

    def get_queryset(self) -> QuerySet[Any]:
        sku = self.request.query_params.get("sku")
        if not sku:
            raise InvalidParameter("sku", "It says whose prices are wanted.", "Add ?sku= with the SKU of a variant.")
        variants = Variant.objects.visible_to(self.request.user).only("pk")
        return super().get_queryset().filter(variant_id=get_object_or_404(variants, sku__in=list_forms([sku])).pk)


class ScheduledPriceViewSet(PrivateMixin, WriteMixin[ScheduledPrice], ReadViewSet):
    """Prices that variants get at a time. DELETE cancels one; of an active one, the price of before returns.

    A worker sets the price in the second of `from`. At `until` the price of before returns, unless the variant has got
    another one meanwhile.
    """

    http_method_names = ("get", "post", "delete", "head", "options")
    queryset = ScheduledPrice.objects.select_related("variant")
    permission_classes = (ModelPermissions,)
    scope = CATALOGUE
    read_serializer = ScheduledPriceRead
    write_serializer = ScheduledPriceWrite
    filterset_class = ScheduledPriceFilters
    orderings = ("id", "-id", "from", "-from")
    order_columns: ClassVar = {"from": "starts_at"}
    default_ordering = "-id"
    index_served: IndexServed = frozenset(
        {(None, "id"), (None, "from"), ("from_after", "from"), ("from_before", "from")}
    )
    lookup_value_regex = "[0-9]{1,18}"
    refusals = (HTTPStatus.CONFLICT,)

    def claim(self, row: ScheduledPrice, versions: Collection[int] | None) -> None:
        lock_product(row.variant.product_id)
        super().claim(row, versions)

    def perform_destroy(self, instance: ScheduledPrice) -> None:
        cancel_price(instance)


# PATCH does all that PUT would.
PATCHED = ("get", "post", "patch", "delete", "head", "options")


class MergedViewSet[Row: Brand | Category](WriteMixin[Row], SluggedViewSet):
    """The list of brands or categories, with writes."""

    http_method_names = PATCHED

    @property
    def known_parameters(self) -> frozenset[str]:
        return frozenset() if self.action == "merge" else super().known_parameters

    def perform_destroy(self, instance: Row) -> None:
        refuse_used(instance)
        super().perform_destroy(instance)

    @extend_schema(request=MergeWrite, responses=MergeRead)
    @action(detail=True, methods=["post"], permission_classes=[IsAuthenticated])
    def merge(self, request: Request, slug: str) -> Response:
        """Move all products, and the categories below, to the row `into`; then delete this one.

        A request moves 5,000 products at most. Send it again until it answers `"done": true`.
        """
        name = self.queryset.model._meta.model_name
        require_rights(request, f"catalog.change_{name}", f"catalog.delete_{name}", "catalog.change_product")
        body = MergeWrite(data=request.data)
        body.is_valid(raise_exception=True)
        row = self.get_object()
        return Response(attempt_twice(lambda: merge_row(row, body.validated_data["into"])))


class BrandViewSet(MergedViewSet[Brand]):
    """Brands by slug. Anybody reads them; writes need the model permission."""

    queryset = Brand.objects.all()
    read_serializer = BrandRead
    write_serializer = BrandWrite
    filterset_class = BrandFilters


class CategoryViewSet(MergedViewSet[Category]):
    """Categories by slug. Anybody reads them; writes need the model permission.

    PATCH of `parent` moves a category with all that is below it, and writes no product.
    """

    queryset = Category.objects.select_related("parent")
    read_serializer = CategoryRead
    write_serializer = CategoryWrite
    filterset_class = CategoryFilters
    gated = (*SluggedViewSet.gated, "tree")

    @property
    def known_parameters(self) -> frozenset[str]:
        # A tree has no parameters.
        return frozenset() if self.action == "tree" else super().known_parameters

    @extend_schema(responses=CategoryNode)
    @action(detail=True)
    def tree(self, request: Request, slug: str) -> HttpResponse:
        """The category and all categories below it, nested: `{"slug", "name", "children": […]}`."""
        tree = build_tree(get_object_or_404(Category, slug=compose(slug)))
        if not self.is_json:
            return Response(tree)
        body = write_json(tree)
        return spare_known(request, self.send(Reply(body, {"ETag": make_etag(body)})))


class AttributeViewSet(WriteMixin[Attribute], SluggedViewSet):
    """Declared attributes by name. Anybody reads them; writes need the model permission."""

    http_method_names = PATCHED
    queryset = Attribute.objects.all()
    read_serializer = AttributeRead
    write_serializer = AttributeWrite
    orderings = ("name", "-name")
    default_ordering = "name"
    index_served: IndexServed = frozenset({(None, "name")})
    lookup_field = "name"


class LocationViewSet(WriteMixin[Location], SluggedViewSet):
    """Places that have stock, by code. Anybody reads them; writes need the model permission.

    After a change of `sellable`, `in_stock` of the products there follows: of many products, a worker moves the rest.
    """

    http_method_names = PATCHED
    queryset = Location.objects.all()
    read_serializer = LocationRead
    write_serializer = LocationWrite
    orderings = ("code", "-code")
    default_ordering = "code"
    index_served: IndexServed = frozenset({(None, "code")})
    lookup_field = "code"

    def perform_destroy(self, instance: Location) -> None:
        delete_location(instance)


# -- many at once -----------------------------------------------------------------------------------------------


# The permissions that each mode needs.
RIGHTS = {
    Mode.CREATE: ("catalog.add_product",),
    Mode.UPDATE: ("catalog.change_product",),
    Mode.UPSERT: ("catalog.add_product", "catalog.change_product"),
    Mode.DELETE: ("catalog.delete_product",),
}


class ProductBulk(BulkView):
    """Create, update, upsert or delete up to 1,000 products in one transaction.

    Each item is the body of one product. Its nested lists match stored rows by id or SKU, and delete nothing. The
    answer has a result for every item, with JSON pointers to its errors.
    """

    queryset = Product.objects.all()
    permission_classes = (AnyWrite,)
    scope = CATALOGUE
    serializer_class = ProductBulkWrite

    @extend_schema(operation_id="bulk_write_products", responses=ProductBulkRead)
    def post(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        body = serializer.validated_data
        mode = Mode(body["mode"])
        require_rights(request, *RIGHTS[mode])
        handling = Handling(body["on_error"], body["dry_run"], self.read_limit(request))
        rows = write_rows(body["items"], lambda rows: ProductsWriter(rows, Manner(mode)), handling)
        return self.answer(rows, handling)


HANDLING = [
    OpenApiParameter(
        "on_error",
        str,
        enum=("reject_all", "skip"),
        default="reject_all",
        description="If some rows have errors: write no row, or write the other rows.",
    ),
    OpenApiParameter("dry_run", bool, default=False, description="Report what would happen, and write nothing."),
]

STOCK_ROWS = StockWrite(many=True, max_length=GREATEST_NUMBER)  # type: ignore[call-arg]  # many=True makes a ListSerializer
PRICE_ROWS = PriceWrite(many=True, max_length=GREATEST_NUMBER)  # type: ignore[call-arg]  # many=True makes a ListSerializer


class StockBulk(BulkListView):
    """Set the stock of up to 1,000 variants by SKU and location, in one transaction."""

    queryset = Stock.objects.all()
    scope = CATALOGUE
    serializer_class = StockWrite

    @extend_schema(operation_id="bulk_update_stock", request=STOCK_ROWS, responses=StockBulkRead, parameters=HANDLING)
    def patch(self, request: Request) -> Response:
        rows, handling = self.read_rows(request)
        return self.answer(write_rows(rows, StockWriter, handling), handling)


class PriceBulk(BulkListView):
    """Set the prices of up to 1,000 variants by SKU, in one transaction."""

    queryset = Variant.objects.all()
    scope = CATALOGUE
    serializer_class = PriceWrite

    @extend_schema(operation_id="bulk_update_prices", request=PRICE_ROWS, responses=PriceBulkRead, parameters=HANDLING)
    def patch(self, request: Request) -> Response:
        rows, handling = self.read_rows(request)
        return self.answer(write_rows(rows, PricesWriter, handling), handling)
