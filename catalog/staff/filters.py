"""Filters of the admin's lists. Users type a text or choose a suggestion: links would list the whole table."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.db.models import BooleanField, F, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateFilter, TextFilter

from catalog.changes.entities import list_entities, list_without_product
from catalog.changes.models import Change
from catalog.edits.kinds import TAGS
from catalog.models import Category, Product, Stock, Variant
from catalog.querysets import ProductQuerySet
from config.api.admin.filters import SuggestFilter


class BrandFilter(SuggestFilter):
    title = "brand"
    parameter_name = "brand"
    source = (Product, "brand")

    def narrow(self, rows: ProductQuerySet, value: str) -> ProductQuerySet:
        return rows.of_brand(value)


class CategoryFilter(SuggestFilter):
    """Products in the category and in all categories below it."""

    title = "category"
    parameter_name = "category"
    source = (Product, "category")

    def narrow(self, rows: ProductQuerySet, value: str) -> ProductQuerySet:
        return rows.in_category(value)


class TagFilter(TextFilter):
    """Products with a tag: a text in the list `tags` of the attributes, compared with its case."""

    title = "tag"
    parameter_name = "tag"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if connection.vendor == "sqlite":
            self.title = f"tag (of the newest {SEARCHED_BACK:,})"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        return keep_tagged(queryset, tag) if (tag := (self.value() or "").strip()) else queryset


def keep_tagged(rows: QuerySet[Product], tag: str) -> QuerySet[Product]:
    if connections[rows.db].vendor == "postgresql":
        # Containment, which the GIN index of `attr.NAME` serves.
        return rows.filter(attributes__contains={TAGS: [tag]})
    # SQLite knows none, and has no index. Of a text that stands in place of the list, `json_each` gives the text.
    is_list = RawSQL("json_type(attributes, '$.tags') = 'array'", (), BooleanField())
    has_tag = "EXISTS (SELECT 1 FROM json_each(attributes, '$.tags') WHERE type = 'text' AND value = %s)"
    tagged = rows.filter(is_list, RawSQL(has_tag, (tag,), BooleanField()))  # noqa: S611 (a literal, one line above)
    return keep_newest(tagged, of=rows)


# No index finds products by what they lack or by `in_stock`, nor stock by its free pieces, nor the changes of one user.
# So a page reads at most this many rows, whatever the size of the table.
SEARCHED_BACK = 100_000


class InStockFilter(admin.BooleanFieldListFilter):
    """Products by their stock flag, of the newest that the filters before this one leave."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = f"in stock (of the newest {SEARCHED_BACK:,})"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        rows: Any = super().queryset(request, queryset)
        return keep_newest(rows, of=queryset) if self.used_parameters else rows


class LackFilter(admin.SimpleListFilter):
    """Products that aren't ready for the shop. Those without brand or category are found by an index."""

    title = f"lacks (of the newest {SEARCHED_BACK:,})"
    parameter_name = "lacks"
    found: Mapping[str, tuple[str, Q]] = {
        "picture": ("Picture", Q(image_url="")),
        "price": ("Price or variant", Q(price=0)),
        "stock": ("Stock", Q(in_stock=False)),
        "description": ("Description", Q(text__description="")),
        "reduction": ("Price below its compare-at price", Q(compare_at_price__lte=F("price"))),
        "brand": ("Brand", Q(brand=None)),
        "category": ("Category", Q(category=None)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return [(name, label) for name, (label, _) in self.found.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        name = self.value() or ""
        if name not in self.found:
            return queryset
        rows = queryset.filter(self.found[name][1])
        return rows if name in ("brand", "category") else keep_newest(rows, of=queryset)


def keep_newest(rows: QuerySet[Any], of: QuerySet[Any], by: str = "created_at") -> QuerySet[Any]:
    """The rows that are among the newest SEARCHED_BACK of `of`. Lists have this order."""
    newest = of.order_by(f"-{by}", "-pk").values_list(by, flat=True)
    oldest = next(iter(newest[SEARCHED_BACK - 1 : SEARCHED_BACK]), None)
    return rows.filter(**{f"{by}__gte": oldest}) if oldest else rows


class BarcodeFilter(admin.SimpleListFilter):
    """Variants with the barcode of another one, of the newest."""

    title = f"barcode (of the newest {SEARCHED_BACK:,})"
    parameter_name = "barcode"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return (("repeated", "Another variant has it, too"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Variant]) -> QuerySet[Variant]:
        return keep_repeated(queryset) if self.value() == "repeated" else queryset


def keep_repeated(rows: QuerySet[Variant]) -> QuerySet[Variant]:
    # The literal is the condition of the index.
    coded = Variant.objects.filter(barcode__gt=RawSQL("''", ()))
    others = coded.filter(barcode=OuterRef("barcode")).exclude(pk=OuterRef("pk")).order_by()
    # A subselect with a limit is asked for each row by the index. Of EXISTS the planner may make one join of all rows.
    repeated = rows.alias(other=Subquery(others.values("pk")[:1])).filter(barcode__gt="", other__isnull=False)
    return keep_newest(repeated, of=rows, by="pk")


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
    """Changes by a product's SKU or id; the id also finds a deleted product."""

    title = "product's SKU or id"
    parameter_name = "of_product"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Change]) -> QuerySet[Change]:
        text = self.value()
        if not text:
            return queryset
        key = Product.objects.filter(sku=text).values_list("pk", flat=True).first()
        is_id = text.isascii() and text.isdigit() and len(text) <= 18
        if key is None and is_id:
            key = int(text)
        return queryset.filter(product_id=key) if key is not None else queryset.none()


class OfRequestFilter(TextFilter):
    """All changes of one request or one job."""

    title = "request or job, such as import/7"
    parameter_name = "request_id"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Change]) -> QuerySet[Change]:
        return queryset.filter(request_id=self.value()) if self.value() else queryset


class WhoFilter(TextFilter):
    title = f"who (e-mail address), in the last {SEARCHED_BACK:,} changes"
    parameter_name = "who"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Change]) -> QuerySet[Change]:
        if not (text := self.value()):
            return queryset
        user = get_user_model()._default_manager.filter(email__iexact=text.strip()).first()
        newest = Change.objects.aggregate(newest=Max("position"))["newest"] or 0
        return (
            queryset.filter(actor=f"user:{user.pk}", position__gt=newest - SEARCHED_BACK) if user else queryset.none()
        )


class WhenFilter(RangeDateFilter):
    """From one day to another, both included. Positions follow the time, so the order's own index finds them."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Change]) -> QuerySet[Change]:
        for name, lookup, days in (("from", "position__gte", 0), ("to", "position__lt", 1)):
            day = parse_day(self.used_parameters.get(f"{self.parameter_name}_{name}"))
            if day is not None and (position := find_position(day + timedelta(days=days))) is not None:
                queryset = queryset.filter(**{lookup: position})
            elif day is not None and name == "from":
                return queryset.none()
        return queryset


def parse_day(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text or "")).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    except ValueError:
        return None


def find_position(moment: datetime) -> int | None:
    """The first position that was given at this time or later; None if there is none."""
    rows = Change.objects.filter(numbered_at__gte=moment).order_by("numbered_at", "position")
    return rows.values_list("position", flat=True).first()


class ParentFilter(SuggestFilter):
    title = "parent"
    parameter_name = "under"
    source = (Category, "parent")

    def narrow(self, rows: QuerySet[Category], value: str) -> QuerySet[Category]:
        return rows.filter(parent__slug=value)


class FreeFilter(admin.SimpleListFilter):
    """Stock by its free pieces, of the newest rows that the filters before this one leave."""

    title = f"free pieces (of the newest {SEARCHED_BACK:,})"
    parameter_name = "free"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return (("some", "Some"), ("few", f"{settings.LOW_STOCK} or less"), ("none", "None"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Stock]) -> QuerySet[Stock]:
        match self.value():
            case "some":
                rows = queryset.filter(on_hand__gt=F("reserved"))
            case "few":
                rows = queryset.filter(on_hand__lte=F("reserved") + settings.LOW_STOCK)
            case "none":
                rows = queryset.filter(on_hand__lte=F("reserved"))
            case _:
                return queryset
        return keep_newest(rows, of=queryset, by="pk")
