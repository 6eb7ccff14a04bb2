"""The list of products: its columns, and how it is read. What a page shows beside the products is one query more."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, F, QuerySet, Sum
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from catalog.edits.kinds import TAGS
from catalog.models import Product, Variant
from config.api.admin.cells import show_moment, show_picture, show_unbroken
from config.api.admin.lists import ChangeList

# The tags of a product that its row shows.
SHOWN_TAGS = 6


class StatusFilter(admin.ChoicesFieldListFilter):
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        rows: Any = queryset
        # As a literal: the indexes by title, price and rating have active products only.
        is_active = self.used_parameters.get(self.lookup_kwarg) in (Product.Status.ACTIVE, [Product.Status.ACTIVE])
        return rows.only_active() if is_active else super().queryset(request, rows)


class ProductList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        products: list[Any] = list(self.result_list)
        counts = count_parts([product.pk for product in products])
        for product in products:
            product.parts = counts.get(product.pk, (0, 0))
        self.result_list: Any = products


def count_parts(keys: list[int]) -> dict[int, tuple[int, int]]:
    """The number of variants and of free pieces of each product."""
    rows = Variant.objects.filter(product_id__in=keys).order_by().values("product_id")
    free = Sum(F("stock__on_hand") - F("stock__reserved"), default=0)
    counted = rows.annotate(number=Count("pk", distinct=True), free=free)
    return {row["product_id"]: (row["number"], row["free"]) for row in counted}


def show_tags(tags: Any) -> SafeString:
    """The first tags as chips. They aren't links: the title that they belong to is one."""
    texts = [str(tag) for tag in tags] if isinstance(tags, list) else []
    shown = texts[:SHOWN_TAGS] + ([f"+{len(texts) - SHOWN_TAGS}"] if len(texts) > SHOWN_TAGS else [])
    style = "bg-base-100 font-normal inline-block mr-1 mt-1 px-2 rounded-default text-xs dark:bg-base-800"
    return format_html_join("", '<span class="{}">{}</span>', ((style, text) for text in shown))


class ProductColumns:
    """The columns of the list."""

    @admin.display(description="")
    def picture(self, product: Product) -> SafeString | str:
        return show_picture(product.image_url, "")

    @admin.display(description="SKU", ordering="sku")
    def code(self, product: Product) -> str:
        return show_unbroken(product.sku)

    @admin.display(description="title", ordering="title_key")
    def name(self, product: Product) -> SafeString:
        """The title, with the category's path and the tags below it."""
        path = product.category.breadcrumb if product.category else ""
        style = "block text-xs text-font-subtle-light dark:text-font-subtle-dark"
        frame = '<span class="block" style="min-width: 12rem">{}<span class="{}">{}</span>{}</span>'
        return format_html(frame, product.title, style, path, show_tags(product.attributes.get(TAGS)))

    @admin.display(description="price", ordering="price")
    def amount(self, product: Product) -> str:
        return show_unbroken(f"{product.price} {product.currency}")

    @admin.display(description="variants, stock")
    def parts(self, product: Any) -> SafeString:
        number, free = product.parts
        noun = "variant" if number == 1 else "variants"
        return format_html('<span class="whitespace-nowrap">{} {},<br>{} free</span>', number, noun, f"{free:,}")

    @display(description="status", label={"Active": "success", "Draft": "info", "Archived": "warning"})  # type: ignore[untyped-decorator]  # unfold has no types
    def state(self, product: Product) -> str:
        return product.get_status_display()

    @admin.display(description="rating", ordering="rating")
    def stars(self, product: Product) -> str:
        return str(product.rating) if product.rating else "-"

    @admin.display(description="created", ordering="created_at")
    def created(self, product: Product) -> str:
        return show_moment(product.created_at)

    @admin.display(description="updated", ordering="updated_at")
    def updated(self, product: Product) -> str:
        return show_moment(product.updated_at)
