"""The catalogue's pages for staff: every table, searched by what an index serves, never listed in a select box."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import slugify
from unfold.decorators import display

from catalog.changes.history import describe_changes
from catalog.changes.log import number_changes
from catalog.imports.admin import ImportJobAdmin
from catalog.models import (
    Attribute,
    Brand,
    Category,
    Change,
    Image,
    ImportJob,
    Product,
    ProductText,
    Stock,
    Variant,
)
from catalog.querysets import ProductQuerySet
from catalog.search import MOST_WORDS, find_words
from catalog.staff.filters import (
    BrandFilter,
    CategoryFilter,
    EntityFilter,
    FreeFilter,
    OfProductFilter,
    OfProductIdFilter,
    ParentFilter,
    StockOfProductFilter,
)
from catalog.staff.forms import CategoryForm, ProductForm, VariantForm
from catalog.staff.inlines import ImageInline, StockInline, TextInline, VariantInline
from config.api.admin.site import BoundedAdmin, ReadOnlyAdmin, show_moment, show_picture, show_unbroken

# An UPDATE of this many rows holds its locks for about 0.1 s.
STATUS_CHUNK = 1_000
# A request may change statuses for this long; the rest is the next click's.
STATUS_SECONDS = 20.0

RECORD = ("version", "created_at", "updated_at")


class SluggedAdmin(BoundedAdmin):
    """Rows that are found by their name, in a list of at most some 100,000."""

    list_display: ClassVar[Sequence[str]] = ("name", "slug", "version", "updated_at")
    list_display_links = ("name", "slug")
    fields: ClassVar[Sequence[str]] = ("name", "slug", *RECORD)
    readonly_fields = RECORD
    prepopulated_fields: ClassVar = {"slug": ("name",)}
    ordering = ("slug",)
    sortable_by = ("slug",)
    # Read from end to end, for a word in the middle: 10 ms at 100,000 rows.
    search_fields = ("slug__contains",)
    search_help_text = "Part of the name"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # A slug has no capitals and no signs, so people find "Émile & Co" by "emile co" or "Émile & Co".
        term = slugify(search_term, allow_unicode=True)
        if search_term.strip() and not term:
            return queryset.none(), False
        return super().get_search_results(request, queryset, term)


@admin.register(Brand)
class BrandAdmin(SluggedAdmin):
    icon = "sell"


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
    list_display = ("name", "type")
    list_filter = ("type",)
    ordering = ("name",)
    sortable_by = ("name",)
    search_fields = ("name__contains",)


@admin.register(Product)
class ProductAdmin(BoundedAdmin):
    """Price, stock flag and picture follow from variants, stock and images, so they are shown and not asked for."""

    icon = "inventory_2"
    form = ProductForm
    inlines = (VariantInline, ImageInline, TextInline)
    actions: ClassVar[Sequence[str]] = ("publish", "archive", "delete_selected")
    list_display = ("picture", "code", "title", "brand", "amount", "state", "in_stock", "created", "updated")
    list_display_links = ("code", "title")
    list_filter = ("status", "in_stock", BrandFilter, CategoryFilter)
    list_select_related = ("brand",)
    # Index-served for all products, for a status, a brand and a category alike.
    ordering = ("-created_at", "-pk")
    sortable_by = ("code", "created", "updated")
    search_fields = ("sku__exact",)
    search_help_text = "SKU, or words of title, brand and description"
    # Not raw ids: a person knows the name. The search behind them is bounded like every list.
    autocomplete_fields = ("brand", "category")
    prepopulated_fields: ClassVar = {"slug": ("title",)}
    readonly_fields = ("price", "in_stock", "image_url", "large_picture", *RECORD)
    fieldsets = (
        (None, {"fields": ("title", ("sku", "slug"), ("status", "rating"))}),
        ("Where it belongs", {"fields": (("brand", "category"), "attributes")}),
        ("Price and stock", {"fields": (("price", "compare_at_price"), ("currency", "in_stock"))}),
        ("Picture", {"fields": ("large_picture", "image_url")}),
        ("Record", {"fields": (RECORD,)}),
    )

    @admin.display(description="")
    def picture(self, product: Product) -> SafeString | str:
        return show_picture(product.image_url, "")

    @admin.display(description="picture")
    def large_picture(self, product: Product) -> SafeString | str:
        return show_picture(product.image_url, product.title, size=160)

    @admin.display(description="SKU", ordering="sku")
    def code(self, product: Product) -> str:
        return show_unbroken(product.sku)

    @admin.display(description="price")
    def amount(self, product: Product) -> str:
        return show_unbroken(f"{product.price} {product.currency}")

    @display(description="status", label={"Active": "success", "Draft": "info", "Archived": "warning"})  # type: ignore[untyped-decorator]  # unfold has no types
    def state(self, product: Product) -> str:
        return product.get_status_display()

    @admin.display(description="created", ordering="created_at")
    def created(self, product: Product) -> str:
        return show_moment(product.created_at)

    @admin.display(description="updated", ordering="updated_at")
    def updated(self, product: Product) -> str:
        return show_moment(product.updated_at)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The change log of the product, whoever wrote; Django's own log knows of the admin's forms alone."""
        if not request.user.has_perm("catalog.view_change"):
            return super().history_view(request, object_id, extra_context)
        query = urlencode({OfProductIdFilter.parameter_name: unquote(object_id)})
        return HttpResponseRedirect(f"{reverse('admin:catalog_change_changelist')}?{query}")

    def view_on_site(self, product: Product) -> str:
        return reverse("product-detail", args=(product.pk,))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The product with this SKU, or of the variant with it; else full text. Each way is an index's."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if (key := find_by_sku(term)) is not None:
            return queryset.filter(pk=key), False
        products: Any = queryset
        words = " ".join(find_words(term)[:MOST_WORDS])
        return (products.matching(words) if words else products.none()), False

    def save_related(
        self, request: HttpRequest, form: forms.ModelForm[Product], formsets: list[Any], change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        # An empty inline saves nothing, and a product without this row is in no search document.
        ProductText.objects.get_or_create(product=form.instance)

    @admin.action(permissions=("change",), description="Publish: set active")
    def publish(self, request: HttpRequest, queryset: ProductQuerySet) -> None:
        self.set_status(request, queryset, Product.Status.ACTIVE)

    @admin.action(permissions=("change",), description="Archive")
    def archive(self, request: HttpRequest, queryset: ProductQuerySet) -> None:
        self.set_status(request, queryset, Product.Status.ARCHIVED)

    def set_status(self, request: HttpRequest, products: ProductQuerySet, status: Product.Status) -> None:
        end = time.monotonic() + STATUS_SECONDS
        changed, finished = 0, True
        for keys in list_chunks(products.exclude(status=status)):
            changed += Product.objects.filter(pk__in=keys).update(status=status)
            if not (finished := time.monotonic() < end):
                break
        sentence = f"{changed:,} {'product' if changed == 1 else 'products'} set to {status.label.lower()}."
        rest = "" if finished else f" {STATUS_SECONDS:g} s were over: run the action again for the rest."
        self.message_user(request, sentence + rest, messages.SUCCESS if finished else messages.WARNING)


@admin.register(Variant)
class VariantAdmin(BoundedAdmin):
    icon = "style"
    form = VariantForm
    inlines = (StockInline,)
    list_display = ("sku", "product", "price", "barcode", "position", "updated_at")
    list_filter = (OfProductFilter,)
    list_select_related = ("product",)
    sortable_by = ("sku",)
    search_fields = ("sku__exact",)
    search_help_text = "A whole SKU"
    fields = ("product", ("sku", "barcode"), "options", ("price", "weight", "position"), RECORD)
    readonly_fields = RECORD
    raw_id_fields = ("product",)

    def get_readonly_fields(self, request: HttpRequest, obj: Variant | None = None) -> Sequence[str]:
        # A variant that moves might leave a product without any.
        return (*RECORD, "product") if obj else RECORD

    def find_hindrances(self, request: HttpRequest, rows: Sequence[Any]) -> Iterator[str]:
        yield from super().find_hindrances(request, rows)
        products = {row.product_id for row in rows}
        kept = Variant.objects.filter(product__in=products).exclude(pk__in=[row.pk for row in rows])
        if bare := products - set(kept.values_list("product_id", flat=True)):
            names = "1 product" if len(bare) == 1 else f"{len(bare)} products"
            yield f"{names} would be left without a variant: delete the product itself."


@admin.register(Stock)
class StockAdmin(BoundedAdmin):
    icon = "warehouse"
    list_display = ("variant", "location", "on_hand", "reserved", "free")
    list_filter = (FreeFilter, StockOfProductFilter)
    list_select_related = ("variant",)
    search_fields = ("variant__sku__exact",)
    search_help_text = "A variant's whole SKU"
    fields = ("variant", "location", ("on_hand", "reserved"))
    readonly_fields = ("reserved",)
    raw_id_fields = ("variant",)

    @admin.display(description="free")
    def free(self, stock: Stock) -> int:
        return stock.on_hand - stock.reserved


@admin.register(Image)
class ImageAdmin(BoundedAdmin):
    icon = "image"
    list_display = ("picture", "url", "product", "position")
    list_display_links = ("picture", "url")
    list_filter = (OfProductFilter,)
    list_select_related = ("product",)
    search_fields = ("product__sku__exact",)
    search_help_text = "A product's whole SKU"
    raw_id_fields = ("product",)

    @admin.display(description="")
    def picture(self, image: Image) -> SafeString | str:
        return show_picture(image.url, image.alt)


@admin.register(ProductText)
class ProductTextAdmin(BoundedAdmin):
    icon = "description"
    list_display = ("product", "seo_title")
    list_filter = (OfProductFilter,)
    list_select_related = ("product",)
    search_fields = ("product__sku__exact",)
    search_help_text = "A product's whole SKU"
    raw_id_fields = ("product",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProductText]:
        # A list shows none of the kilobytes of description.
        rows: QuerySet[ProductText] = super().get_queryset(request)
        return rows.defer("description", "seo_description")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # Without its texts a product is in no search document.
        return False


@admin.register(Change)
class ChangeAdmin(ReadOnlyAdmin):
    """The audit: who changed what, when, in which request."""

    icon = "history"
    list_display = ("position", "moment", "entity", "code", "operation", "version", "actor", "request_id")
    list_filter = (EntityFilter, OfProductIdFilter)
    search_fields = ("position__exact",)
    search_help_text = "A position"
    ordering = ("-position",)
    fields = (
        ("position", "at"),
        ("actor", "request_id"),
        ("entity", "entity_id", "op"),
        ("version", "sku", "product_id"),
        "differences",
    )
    readonly_fields = ("differences",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Change]:
        number_changes()
        rows: QuerySet[Change] = super().get_queryset(request)
        return rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # Letters are no position, and so many digits none that fits the column.
        term = search_term.strip()
        if term and not (term.isascii() and term.isdigit() and len(term) <= 18):
            return queryset.none(), False
        return super().get_search_results(request, queryset, term)

    @admin.display(description="at")
    def moment(self, change: Change) -> str:
        return show_unbroken(f"{change.at:%Y-%m-%d %H:%M:%S}")

    @admin.display(description="row")
    def code(self, change: Change) -> str:
        return show_unbroken(change.sku or str(change.entity_id))

    @admin.display(description="before and after")
    def differences(self, change: Change) -> SafeString:
        """The columns that differ, or the whole row that came or went."""
        [shown] = describe_changes([change.pk])
        before, after = shown["before"] or {}, shown["after"] or {}
        rows = [(name, before.get(name, "-"), after.get(name, "-")) for name in before | after]
        head = ("column", "before", "after")
        return render_to_string("admin/differences.html", {"head": head, "rows": rows})

    @display(description="op", label={"Create": "success", "Update": "info", "Delete": "danger", "Truncate": "danger"})  # type: ignore[untyped-decorator]  # unfold has no types
    def operation(self, change: Change) -> str:
        return change.get_op_display()


def find_by_sku(sku: str) -> int | None:
    """The id of the product with this SKU, or of the product that has a variant with it; at most two look-ups."""
    key = Product.objects.filter(sku=sku).values_list("pk", flat=True).first()
    return key or Variant.objects.filter(sku=sku).values_list("product_id", flat=True).first()


def list_chunks(rows: QuerySet[Any]) -> Iterator[list[int]]:
    """The keys of `rows` in ascending order, some at a time; each chunk is asked for after the one before."""
    last = 0
    while keys := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:STATUS_CHUNK]):
        yield keys
        last = keys[-1]


admin.site.register(ImportJob, ImportJobAdmin)
