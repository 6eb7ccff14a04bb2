"""Prices that were, and prices that will be."""

from collections.abc import Collection
from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view

from catalog.filters import ScheduledPriceFilters
from catalog.models import ScheduledPrice, Variant
from catalog.prices.models import VariantPrice
from catalog.prices.scheduling import cancel_price
from catalog.prices.serializers import ScheduledPriceWrite
from catalog.serializers import PriceRead, ScheduledPriceRead
from catalog.views.public import SeenByRight
from catalog.writes.parts import lock_product
from catalog.writes.texts import list_forms
from config.api.access.permissions import ModelPermissions
from config.api.access.privacy import PrivateMixin
from config.api.access.scopes import CATALOGUE
from config.api.problems.errors import InvalidParameter
from config.api.reads.unserved import IndexServed
from config.api.viewsets import ListMixin, ReadViewSet, WriteMixin

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
    refusals = (HTTPStatus.NOT_FOUND,)

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
