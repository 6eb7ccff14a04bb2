"""The catalogue's admin: a page for each table.

Searches use columns that have an index. No form lists a whole table in a select box.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.decorators import action

from catalog.changes.admin import ChangeAdmin
from catalog.changes.models import Change
from catalog.changes.undo.admin import UndoJobAdmin
from catalog.changes.undo.models import UndoJob
from catalog.edits.admin import EditJobAdmin
from catalog.edits.models import EditJob
from catalog.imports.admin import ImportJobAdmin, ImportRecipeAdmin
from catalog.imports.models import ImportJob, ImportRecipe
from catalog.models import (
    Attribute,
    Brand,
    Category,
    Image,
    Location,
    Product,
    ProductText,
    ScheduledPrice,
    Stock,
    Variant,
)
from catalog.querysets import MAIN
from catalog.staff.filters import BarcodeFilter, FreeFilter, OfProductFilter, ParentFilter, StockOfProductFilter
from catalog.staff.forms import CategoryForm, ImageForm, RuledForm, StockForm, VariantForm
from catalog.staff.inlines import StockInline
from catalog.staff.products import ProductAdmin
from catalog.staff.scheduled import ScheduledPriceAdmin
from catalog.staff.slugged import RECORD, SluggedAdmin
from config.api.admin.cells import show_picture, show_unbroken
from config.api.admin.lists import BoundedAdmin

admin.site.register(Product, ProductAdmin)
admin.site.register(Change, ChangeAdmin)
admin.site.register(EditJob, EditJobAdmin)
admin.site.register(UndoJob, UndoJobAdmin)
admin.site.register(ImportJob, ImportJobAdmin)
admin.site.register(ImportRecipe, ImportRecipeAdmin)
admin.site.register(ScheduledPrice, ScheduledPriceAdmin)


@admin.register(Brand)
class BrandAdmin(SluggedAdmin):
    icon = "sell"
    form = RuledForm


@admin.register(Category)
class CategoryAdmin(SluggedAdmin):
    icon = "account_tree"
    form = CategoryForm
    list_display = ("name", "slug", "parent", "version", "updated_at")
    list_filter = (ParentFilter,)
    list_select_related = ("parent",)
    fields = ("name", "parent", "slug", *RECORD)
    autocomplete_fields = ("parent",)
    prepopulated_fields: ClassVar = {}


@admin.register(Attribute)
class AttributeAdmin(BoundedAdmin):
    icon = "tune"
    form = RuledForm
    list_display = ("name", "type")
    list_filter = ("type",)
    ordering = ("name",)
    sortable_by = ("name",)
    search_fields = ("name__contains",)


@admin.register(Variant)
class VariantAdmin(BoundedAdmin):
    icon = "style"
    in_palette = True
    form = VariantForm
    inlines = (StockInline,)
    list_display = ("code", "product", "price", "bars", "position", "updated_at")
    list_filter = (OfProductFilter, BarcodeFilter)
    list_select_related = ("product",)
    sortable_by = ("code",)
    search_fields = ("sku__exact", "barcode__exact")
    search_help_text = "A whole SKU or barcode"
    fields = ("product", ("sku", "barcode"), "options", ("price", "weight", "position"), RECORD)
    readonly_fields = RECORD
    raw_id_fields = ("product",)

    @admin.display(description="SKU", ordering="sku")
    def code(self, variant: Variant) -> str:
        return show_unbroken(variant.sku)

    @admin.display(description="barcode")
    def bars(self, variant: Variant) -> SafeString | str:
        """The barcode, as a link to all variants that have it."""
        link = '<a class="text-primary-600 dark:text-primary-500" href="?{}">{}</a>'
        return format_html(link, urlencode({"q": variant.barcode}), variant.barcode) if variant.barcode else "-"

    def get_readonly_fields(self, request: HttpRequest, obj: Variant | None = None) -> Sequence[str]:
        # Moving a variant to another product could leave its old product without a variant.
        return (*RECORD, "product") if obj else RECORD

    def describe_found(self, row: Variant) -> tuple[str, str]:
        return row.sku, f"of {row.product}, {row.price}"

    def find_hindrances(self, request: HttpRequest, rows: Sequence[Any]) -> Iterator[str]:
        yield from super().find_hindrances(request, rows)
        products = {row.product_id for row in rows}
        kept = Variant.objects.filter(product__in=products).exclude(pk__in=[row.pk for row in rows])
        if bare := products - set(kept.values_list("product_id", flat=True)):
            names = "1 product" if len(bare) == 1 else f"{len(bare)} products"
            yield f"{names} would be left without a variant: delete the product itself."


@admin.register(Location)
class LocationAdmin(BoundedAdmin):
    icon = "pin_drop"
    form = RuledForm
    list_display = ("code", "name", "sellable", "priority")
    list_filter = ("sellable",)
    ordering = ("code",)
    sortable_by = ("code",)
    search_fields = ("code__exact",)
    fields = ("code", "name", "sellable", "priority", *RECORD)

    def get_readonly_fields(self, request: HttpRequest, obj: Location | None = None) -> Sequence[str]:
        # Stock refers to the code.
        return (*RECORD, "code") if obj else RECORD

    def find_hindrances(self, request: HttpRequest, rows: Sequence[Any]) -> Iterator[str]:
        yield from super().find_hindrances(request, rows)
        codes = [row.code for row in rows]
        if MAIN in codes or Stock.objects.filter(location__in=codes).exists():
            yield "There is stock there, or it is the default location: make it unsellable instead."


@admin.register(Stock)
class StockAdmin(BoundedAdmin):
    icon = "warehouse"
    form = StockForm
    list_display = ("code", "location", "on_hand", "reserved", "free")
    list_filter = (StockOfProductFilter, FreeFilter)
    list_select_related = ("variant",)
    search_fields = ("variant__sku__exact",)
    search_help_text = "A variant's whole SKU"
    fields = ("variant", "location", ("on_hand", "reserved"), "reason")
    readonly_fields = ("reserved",)
    raw_id_fields = ("variant",)

    @admin.display(description="variant")
    def code(self, stock: Stock) -> str:
        return show_unbroken(stock.variant.sku)

    @admin.display(description="free")
    def free(self, stock: Stock) -> int:
        return stock.on_hand - stock.reserved


@admin.register(Image)
class ImageAdmin(BoundedAdmin):
    icon = "image"
    form = ImageForm
    list_display = ("picture", "url", "product", "position")
    list_display_links = ("picture", "url")
    list_filter = (OfProductFilter,)
    list_select_related = ("product",)
    search_fields = ("product__sku__exact",)
    search_help_text = "A product's whole SKU"
    raw_id_fields = ("product",)
    actions_list = ("by_name",)

    @action(description="Add by file name…", permissions=("add",), url_path="by-name/")  # type: ignore[untyped-decorator]  # unfold has no types
    def by_name(self, request: HttpRequest) -> HttpResponse:
        """A page that sends many pictures by the API, each to the product that its file names (pictures.js)."""
        context = {**self.admin_site.each_context(request), "title": "Add pictures by file name", "opts": self.opts}
        return TemplateResponse(request, "admin/pictures_by_name.html", context)

    @admin.display(description="")
    def picture(self, image: Image) -> SafeString | str:
        return show_picture((image.thumbnails or {}).get("small") or image.url, image.alt)


@admin.register(ProductText)
class ProductTextAdmin(BoundedAdmin):
    icon = "description"
    form = RuledForm
    list_display = ("product", "seo_title")
    list_filter = (OfProductFilter,)
    list_select_related = ("product",)
    search_fields = ("product__sku__exact",)
    search_help_text = "A product's whole SKU"
    raw_id_fields = ("product",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProductText]:
        # The list doesn't show the descriptions, which take kilobytes each.
        rows: QuerySet[ProductText] = super().get_queryset(request)
        return rows.defer("description", "seo_description")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # Searches don't find a product without this row.
        return False
