"""Inlines of the admin's pages, with their own pagination."""

from typing import Any

from django.contrib import admin
from django.db.models import F, OuterRef, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import StackedInline, TabularInline

from catalog.models import Image, Product, ProductText, Stock, Variant
from catalog.querysets import MAIN
from catalog.staff.forms import ImageForm, PlacedFormSet, RuledForm, StockForm, VariantFormSet, VariantRowForm
from config.api.admin.cells import show_picture
from config.api.admin.forms import ChangedFormSet, RemembersShown


class VariantInline(RemembersShown, TabularInline):
    model = Variant
    form = VariantRowForm
    formset = VariantFormSet
    fields = ("sku", "price", "on_hand", "options", "barcode", "weight", "position", "stock")
    readonly_fields = ("stock",)
    show_title = False
    # Rows are dragged into their order.
    ordering_field = "position"
    hide_ordering_field = True
    # Django accepts at most 1,000 fields in a form; a product with 150 variants would have more.
    per_page = 20

    def get_queryset(self, request: HttpRequest) -> QuerySet[Variant]:
        rows: QuerySet[Variant] = super().get_queryset(request)
        pieces = Stock.objects.filter(variant=OuterRef("pk")).order_by().values("variant")
        main = Stock.objects.filter(variant=OuterRef("pk"), location=MAIN).values("on_hand")
        free = Subquery(pieces.values(free=Sum(F("on_hand") - F("reserved"))))
        return rows.annotate(free=free, main_on_hand=Subquery(main))

    @admin.display(description="free pieces")
    def stock(self, variant: Variant) -> SafeString | str:
        """The free pieces, as a link to the page where staff edit the stock."""
        if not variant.pk:
            return "-"
        url = reverse("admin:catalog_variant_change", args=(variant.pk,)) + "#stock"
        style = "font-medium text-primary-600 dark:text-primary-500"
        return format_html('<a href="{}" class="{}">{}</a>', url, style, getattr(variant, "free", None) or 0)

    def get_extra(self, request: HttpRequest, obj: Product | None = None, **kwargs: Any) -> int:
        return 0 if obj else 1


class ImageInline(RemembersShown, TabularInline):
    """The pictures of a product. New ones are dropped on the form's field, or named by their address here."""

    model = Image
    form = ImageForm
    formset = PlacedFormSet
    fields = ("picture", "alt", "url", "position")
    readonly_fields = ("picture",)
    ordering_field = "position"
    hide_ordering_field = True
    extra = 0
    show_title = False
    tab = True
    per_page = 60

    @admin.display(description="picture")
    def picture(self, image: Image) -> SafeString | str:
        return show_picture((image.thumbnails or {}).get("small") or image.url, image.alt, size=56)


class TextInline(RemembersShown, StackedInline):
    model = ProductText
    form = RuledForm
    formset = ChangedFormSet
    fields = ("description", "seo_title", "seo_description")
    verbose_name = "texts"
    can_delete = False
    tab = True


class StockInline(RemembersShown, TabularInline):
    model = Stock
    form = StockForm
    formset = ChangedFormSet
    fields = ("location", "on_hand", "reserved", "reason")
    # Orders write it.
    readonly_fields = ("reserved",)
    extra = 0
    tab = True
    per_page = 20
