"""Brands, categories, attributes and locations."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.filters import BrandFilters, CategoryFilters
from catalog.locations import delete_location
from catalog.models import Attribute, Brand, Category, Location
from catalog.serializers import AttributeRead, BrandRead, CategoryNode, CategoryRead, LocationRead
from catalog.trees import build_tree
from catalog.views.public import SluggedViewSet
from catalog.writes.serializers import AttributeWrite, BrandWrite, CategoryWrite, LocationWrite, MergeRead, MergeWrite
from catalog.writes.small_lists import merge_row, refuse_used
from catalog.writes.texts import compose
from config.api.access.permissions import require_rights
from config.api.reads.conditional import make_etag, spare_known
from config.api.reads.plans import Reply
from config.api.reads.unserved import IndexServed
from config.api.rendering.renderers import write_json
from config.api.viewsets import WriteMixin
from config.api.writes.attempts import attempt_twice

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
    orderings = ("name", "-name", "id", "-id")
    default_ordering = "name"
    index_served: IndexServed = frozenset({(None, "name"), (None, "id")})
    lookup_field = "name"


class LocationViewSet(WriteMixin[Location], SluggedViewSet):
    """Places that have stock, by code. Anybody reads them; writes need the model permission.

    After a change of `sellable`, `in_stock` of the products there follows: of many products, a worker moves the rest.
    """

    http_method_names = PATCHED
    queryset = Location.objects.all()
    read_serializer = LocationRead
    write_serializer = LocationWrite
    orderings = ("code", "-code", "id", "-id")
    default_ordering = "code"
    index_served: IndexServed = frozenset({(None, "code"), (None, "id")})
    lookup_field = "code"

    def perform_destroy(self, instance: Location) -> None:
        delete_location(instance)
