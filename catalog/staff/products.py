"""The admin of products. Staff find them by SKU or by words, and publish or archive many at a time."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.decorators import action

from catalog.changes.undo.admin import link_undo, may_undo
from catalog.edits.admin import edit_many
from catalog.media.forms import add_pictures
from catalog.models import Product, ProductText, Variant
from catalog.querysets import ProductQuerySet
from catalog.search.words import MOST_WORDS, find_words
from catalog.staff.duplicates import duplicate_product
from catalog.staff.filters import (
    BrandFilter,
    CategoryFilter,
    InStockFilter,
    LackFilter,
    OfProductIdFilter,
    TagFilter,
)
from catalog.staff.forms import PathChoiceField, ProductForm
from catalog.staff.inlines import ImageInline, TextInline, VariantInline
from catalog.staff.product_list import ProductColumns, ProductList, StatusFilter
from catalog.staff.slugged import RECORD
from catalog.writes.among import is_among
from config.api.admin.cells import show_picture
from config.api.admin.confirming import ask_first, is_confirmed
from config.api.admin.lists import BoundedAdmin
from config.logs import REQUEST_ID

# Rows in one UPDATE. It holds their locks for about 0.1 s.
STATUS_CHUNK = 1_000
# A request changes statuses for at most this long. A message then asks for another click.
STATUS_SECONDS = 20.0

# The part of the form where pictures are dropped.
PICTURES = "Pictures"


class ProductAdmin(ProductColumns, BoundedAdmin):
    """Products. The form shows the price, the stock flag and the picture as read-only: database triggers write them."""

    icon = "inventory_2"
    form = ProductForm
    inlines = (VariantInline, ImageInline, TextInline)
    actions: ClassVar[Sequence[Any]] = (edit_many, "publish", "archive", "delete_selected")
    list_display = ("picture", "code", "name", "brand", "amount", "parts", "state", "stars", "created", "updated")
    list_display_links = ("code", "name")
    list_filter = (
        ("status", StatusFilter), BrandFilter, CategoryFilter, TagFilter, ("in_stock", InStockFilter), LackFilter,
    )  # fmt: skip
    list_select_related = ("brand", "category")
    in_palette = True
    # Indexes serve this order for all products and for those of one status, brand or category.
    ordering = ("-created_at", "-pk")
    # Others have indexes for active products alone, or for few rows.
    sortable_by = ("code", "name", "amount", "stars", "created", "updated")
    sort_hint = "Choose the status Active, or narrow the list by brand, category or words."
    search_fields = ("sku__exact",)
    search_help_text = "SKU, or words of title, brand and description"
    # People know a brand by its name, not by its id. Like every list, the search behind these reads few rows.
    autocomplete_fields = ("brand", "category")
    prepopulated_fields: ClassVar = {"slug": ("title",)}
    readonly_fields = ("price", "lowest_price_30_days", "in_stock", "image_url", "large_picture", *RECORD)
    # What a new product needs, with its variants below. A stored one has tabs for the rest.
    added_fieldsets = (
        (None, {"fields": ("title", ("sku", "slug"), ("status", "currency"), ("brand", "category"))}),
        (PICTURES, {"fields": ("pictures",)}),
        ("Attributes", {"fields": ("attributes",)}),
    )
    fieldsets = (
        (None, {"fields": ("title", ("sku", "slug"), ("status", "brand", "category"), "large_picture")}),
        (PICTURES, {"fields": ("pictures",)}),
        ("Attributes", {"fields": ("attributes",)}),
        (
            "Price",
            {
                "classes": ("tab",),
                "fields": (("price", "compare_at_price"), ("currency", "lowest_price_30_days"), "in_stock"),
            },
        ),
        ("Record", {"classes": ("tab",), "fields": ("rating", "image_url", RECORD)}),
    )
    change_form_before_template = "admin/option_matrix.html"
    actions_submit_line = ("duplicate",)
    # Bytes of the form with its pictures.
    most_bytes = 64 * 2**20

    @admin.display(description="picture")
    def large_picture(self, product: Product) -> SafeString | str:
        return show_picture(product.image_url, product.title, size=160)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ProductList]:
        return ProductList

    def describe_found(self, row: Product) -> tuple[str, str]:
        return row.title, f"{row.sku}, {row.price} {row.currency}, {row.get_status_display().lower()}"

    @property
    def media(self) -> Any:
        return super().media + forms.Media(js=("tenfold/product.js",), css={"all": ("tenfold/product.css",)})

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The product's changes by any writer. Django's own page shows only what was changed in the admin."""
        if not request.user.has_perm("catalog.view_change"):
            return super().history_view(request, object_id, extra_context)
        query = urlencode({OfProductIdFilter.parameter_name: unquote(object_id)})
        return HttpResponseRedirect(f"{reverse('admin:catalog_change_changelist')}?{query}")

    def view_on_site(self, product: Product) -> str:
        return reverse("product-detail", args=(product.pk,))

    def search_for(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Searches by the product's SKU, then by a variant's SKU, then by full text. Each one uses an index."""
        if (key := find_by_sku(term)) is not None:
            return queryset.filter(pk=key)
        words = " ".join(find_words(term)[:MOST_WORDS])
        if not words:
            return queryset.none()
        # The count and the page would each search. So the search runs once, here, and gives some thousand keys at most.
        rows: Any = queryset
        found = rows.matching_within(words) if rows.query.has_filters() else Product.objects.matching(words)
        return queryset.filter(is_among("pk", list(found.order_by().values_list("pk", flat=True))))

    def get_fieldsets(self, request: HttpRequest, obj: Product | None = None) -> Any:
        shown = self.fieldsets if obj else self.added_fieldsets
        # Who may only look has no form, and so no field of it.
        is_form = obj is None or self.has_change_permission(request, obj)
        return shown if is_form else tuple(one for one in shown if one[0] != PICTURES)

    def get_inlines(self, request: HttpRequest, obj: Product | None) -> Any:
        """A new product has no pictures to put in order."""
        return self.inlines if obj else tuple(inline for inline in self.inlines if inline is not ImageInline)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "category":
            kwargs["form_class"] = PathChoiceField
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @action(description="Duplicate", icon="content_copy", permissions=("duplicate",))  # type: ignore[untyped-decorator]  # unfold has no types
    def duplicate(self, request: HttpRequest, product: Product) -> None:
        """Save, and open a draft like it. `response_change` makes it, once all is saved."""

    def has_duplicate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(self.has_add_permission(request))

    def response_change(self, request: HttpRequest, obj: Product) -> HttpResponse:
        if "catalog_product_duplicate" not in request.POST or not self.has_add_permission(request):
            return super().response_change(request, obj)
        copy = duplicate_product(obj)
        self.message_user(request, f"This is a copy of {obj}, as a draft without stock.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:catalog_product_change", args=(copy.pk,)))

    def save_related(
        self, request: HttpRequest, form: forms.ModelForm[Product], formsets: list[Any], change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        # An empty inline saves nothing, and searches don't find a product without this row.
        ProductText.objects.get_or_create(product=form.instance)
        add_pictures(form.instance, form.cleaned_data.get("pictures") or [])

    @admin.action(permissions=("change",), description="Publish: set active")
    def publish(self, request: HttpRequest, queryset: ProductQuerySet) -> HttpResponse | None:
        return self.set_status(request, queryset, Product.Status.ACTIVE)

    @admin.action(permissions=("change",), description="Archive")
    def archive(self, request: HttpRequest, queryset: ProductQuerySet) -> HttpResponse | None:
        return self.set_status(request, queryset, Product.Status.ARCHIVED)

    def set_status(
        self, request: HttpRequest, products: ProductQuerySet, status: Product.Status
    ) -> HttpResponse | None:
        """Ask first, with the number of products and the first of them; then set the status."""
        changing = products.exclude(status=status)
        if not is_confirmed(request) and changing.exists():
            return ask_first(self, request, changing, f"set to {status.label.lower()}")
        self.write_status(request, products, status)
        return None

    def write_status(self, request: HttpRequest, products: ProductQuerySet, status: Product.Status) -> None:
        end = time.monotonic() + STATUS_SECONDS
        changed, finished = 0, True
        for keys in list_chunks(products.exclude(status=status)):
            changed += Product.objects.filter(pk__in=keys).update(status=status)
            if not (finished := time.monotonic() < end):
                break
        sentence = f"{changed:,} {'product' if changed == 1 else 'products'} set to {status.label.lower()}."
        rest = "" if finished else f" It stopped after {STATUS_SECONDS:g} s: run the action again for the rest."
        link = link_undo(REQUEST_ID.get()) if changed and may_undo(request) else ""
        level = messages.SUCCESS if finished else messages.WARNING
        self.message_user(request, format_html("{} {}", sentence + rest, link), level)


def find_by_sku(sku: str) -> int | None:
    """The id of the product with this SKU, or of the product whose variant has it. It runs at most two queries."""
    key = Product.objects.filter(sku=sku).values_list("pk", flat=True).first()
    return key or Variant.objects.filter(sku=sku).values_list("product_id", flat=True).first()


def list_chunks(rows: QuerySet[Any]) -> Iterator[list[int]]:
    """The keys of `rows` in ascending order, in lists of at most STATUS_CHUNK. Each list is one query."""
    last = 0
    while keys := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:STATUS_CHUNK]):
        yield keys
        last = keys[-1]
