"""django-ninja with joins, prefetching and the orjson renderer of its documentation; page numbers, and cursor pages."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import NinjaAPI, Schema
from ninja.pagination import CursorPagination, PageNumberPagination, paginate
from ninja.renderers import BaseRenderer

from tests.benchmarks.peers.shop.models import Category, Product


class OrjsonRenderer(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return orjson.dumps(data, default=str, option=orjson.OPT_UTC_Z)


class BrandOut(Schema):
    id: int
    slug: str
    name: str
    version: int
    created_at: datetime
    updated_at: datetime


class CategoryOut(BrandOut):
    parent: str | None

    @staticmethod
    def resolve_parent(row: Category) -> str | None:
        return row.parent.slug if row.parent else None


class ImageOut(Schema):
    id: int
    url: str
    alt: str
    position: int
    width: int | None
    height: int | None
    thumbnails: dict[str, str] | None


class ProductOut(Schema):
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
    rating: Decimal | None
    image_url: str
    attributes: dict[str, Any]
    images: list[ImageOut]
    version: int
    created_at: datetime
    updated_at: datetime

    @staticmethod
    def resolve_rating(row: Product) -> Decimal | None:
        return row.rating or None


api = NinjaAPI(renderer=OrjsonRenderer())


def select_products() -> QuerySet[Product]:
    rows = Product.objects.filter(status="active").select_related("brand", "category__parent")
    return rows.prefetch_related("images").order_by("-created_at", "-id")


@api.get("/page", response=list[ProductOut])
@paginate(PageNumberPagination, page_size=50)
def list_by_page(request: HttpRequest) -> QuerySet[Product]:
    return select_products()


@api.get("/cursor", response=list[ProductOut])
@paginate(CursorPagination, page_size=50, ordering=("-created_at", "-id"))
def list_by_cursor(request: HttpRequest) -> QuerySet[Product]:
    return select_products()
