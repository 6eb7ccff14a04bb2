"""Filters of the admin's lists. Users type a text: a list of links would have the whole table."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import TextFilter

from catalog.changes.entities import list_entities, list_without_product
from catalog.changes.models import Change
from catalog.models import Category, Product, Stock
from catalog.querysets import ProductQuerySet


class BrandFilter(TextFilter):
    title = "brand's slug"
    parameter_name = "brand"

    def queryset(self, request: HttpRequest, queryset: ProductQuerySet) -> ProductQuerySet:
        return queryset.of_brand(self.value()) if self.value() else queryset


class CategoryFilter(TextFilter):
    """Products in the category and in all categories below it."""

    title = "category's slug"
    parameter_name = "category"

    def queryset(self, request: HttpRequest, queryset: ProductQuerySet) -> ProductQuerySet:
        return queryset.in_category(self.value()) if self.value() else queryset


class OfProductFilter(TextFilter):
    """Rows of one product. `path` is the lookup from the row to the product."""

    title = "product's SKU"
    parameter_name = "of_product"
    path = "product"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        # A subselect of one id instead of a join, so that the index on the product's rows is used.
        return queryset.filter(**{f"{self.path}__in": Product.objects.filter(sku=self.value()).values("pk")})


class StockOfProductFilter(OfProductFilter):
    path = "variant__product"


class EntityFilter(admin.SimpleListFilter):
    title = "table"
    parameter_name = "entity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return [(entity, entity.title()) for entity in list_entities()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Change]) -> QuerySet[Change]:
        entity = self.value()
        if entity in list_without_product():
            # These are few among millions of changes, and a partial index has only them.
            queryset = queryset.filter(product_id=None)
        return queryset.filter(entity=entity) if entity else queryset


class OfProductIdFilter(TextFilter):
    """Changes by product id, which also finds deleted products."""

    title = "product's id"
    parameter_name = "of_product"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Change]) -> QuerySet[Change]:
        text = self.value()
        if not text:
            return queryset
        is_id = text.isascii() and text.isdigit() and len(text) <= 18
        return queryset.filter(product_id=int(text)) if is_id else queryset.none()


class ParentFilter(TextFilter):
    title = "parent's slug"
    parameter_name = "under"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Category]) -> QuerySet[Category]:
        return queryset.filter(parent__slug=self.value()) if self.value() else queryset


class FreeFilter(admin.SimpleListFilter):
    title = "free pieces"
    parameter_name = "free"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return (("some", "Some"), ("none", "None"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Stock]) -> QuerySet[Stock]:
        match self.value():
            case "some":
                return queryset.filter(on_hand__gt=F("reserved"))
            case "none":
                return queryset.filter(on_hand__lte=F("reserved"))
        return queryset
