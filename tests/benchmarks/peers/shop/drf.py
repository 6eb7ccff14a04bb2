"""DRF twice: as its tutorial shows it, and tuned with joins, prefetching, orjson and cursor pages."""

from typing import ClassVar

from drf_orjson_renderer.renderers import ORJSONRenderer
from rest_framework import generics, pagination
from rest_framework.renderers import JSONRenderer

from tests.benchmarks.peers.shop.models import Product
from tests.benchmarks.peers.shop.serializers import ProductSerializer


class Pages(pagination.PageNumberPagination):
    page_size = 50


class CursorPages(pagination.CursorPagination):
    page_size = 50
    ordering = ("-created_at", "-id")


class PlainProducts(generics.ListAPIView):
    queryset = Product.objects.filter(status="active").order_by("-created_at", "-id")
    serializer_class = ProductSerializer
    pagination_class = Pages
    renderer_classes: ClassVar = [JSONRenderer]


class Tuned:
    queryset = (
        Product.objects.filter(status="active").select_related("brand", "category__parent").prefetch_related("images")
    )
    serializer_class = ProductSerializer
    renderer_classes: ClassVar = [ORJSONRenderer]


class TunedProducts(Tuned, generics.ListAPIView):
    pagination_class = CursorPages


class TunedProduct(Tuned, generics.RetrieveAPIView):
    pass
